"""`labvla recover`: clear a stop; on real robots the drivers' own sequences."""

from __future__ import annotations

import argparse
import sys

from diagnostic_msgs.msg import DiagnosticStatus

from labvla_bringup.cli.common import stack_graph
from labvla_bringup.cli.errors import Refusal
from labvla_bringup.graph import Graph
from labvla_policy.nodes import qos
from labvla_policy.nodes.robot_status import TOPIC, RobotStatus, from_message
from labvla_policy.runtime.recovery.recovery import Phase

LONGEST = 600.0  # s: every step has its own time-out
SETTLING = 0.5  # s in which a status from before the call may still arrive
UNHEARD = RobotStatus(cell="")
ENDS = (Phase.DONE.value, Phase.FAILED.value)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--confirmed",
        action="store_true",
        help="you have looked: the cause is gone and nobody is in reach. Else you are asked "
        "before a protective stop is unlocked or brakes are released",
    )
    parser.epilog = (
        "The robot does not move by this, except that brakes are released: the instruction has "
        "to be given again."
    )


def run(arguments: argparse.Namespace) -> int:
    """Call labvla/recover, and go with it to its end."""
    with stack_graph() as graph:
        follower = _Follower(graph)
        done, message = graph.trigger("labvla/recover", timeout=30.0)
        if not done:
            raise Refusal(message)
        if graph.node.count_publishers(graph.resolve(TOPIC)):
            message = follower.follow(arguments.confirmed)
    print(message)
    return 0


class _Follower:
    """Shows a recovery's steps, and asks the operator where it waits for one."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._told = UNHEARD
        graph.node.create_subscription(DiagnosticStatus, TOPIC, self._take, qos.LATCHED)

    def _take(self, message: DiagnosticStatus) -> None:
        self._told = from_message(message)

    def follow(self, confirmed: bool) -> str:
        """Return the last words, or raise them if it failed."""
        self._graph.spin_for(SETTLING)
        shown = ""
        while True:
            if not self._graph.spin_until(lambda seen=shown: self._line() != seen, LONGEST):  # type: ignore[misc]
                raise Refusal(f"the recovery does not go on: {shown}")
            shown, told = self._line(), self._told
            if told.recovery in ENDS:
                break
            print(shown)
            if told.recovery == Phase.WAITING.value:
                self._confirm(confirmed)
        if told.recovery == Phase.FAILED.value:
            raise Refusal(told.doing)
        return told.doing

    def _line(self) -> str:
        told = self._told
        if told == UNHEARD:
            return ""
        words = f"{told.step}  {told.doing}".strip()
        return f"{words}? {told.confirm}" if told.confirm else f"{words} ({told.recovery})"

    def _confirm(self, confirmed: bool) -> None:
        if not confirmed and not sys.stdin.isatty():
            self._give_up()
            raise Refusal("a person has to confirm: labvla recover --confirmed")
        if not confirmed and not _agrees():
            self._give_up()
            raise Refusal("not confirmed: the robot stays stopped")
        done, message = self._graph.trigger("labvla/confirm_recovery")
        if not done:
            raise Refusal(message)

    def _give_up(self) -> None:
        """End what was begun: nobody shall find it waiting, and confirm what they did not see."""
        self._graph.trigger("labvla/cancel_recovery")


def _agrees() -> bool:
    try:
        return input("Done, go on? [y/N] ").strip().lower() in ("y", "yes")
    except (EOFError, KeyboardInterrupt):
        return False
