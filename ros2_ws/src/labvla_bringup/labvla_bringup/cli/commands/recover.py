"""`labvla recover`: clear a stop; on real robots the drivers' own sequences."""

from __future__ import annotations

import argparse
import sys

from diagnostic_msgs.msg import DiagnosticStatus

from labvla_bringup.cli.common import stack_graph
from labvla_bringup.cli.errors import Refusal
from labvla_bringup.graph import Graph
from labvla_policy.nodes import qos

STATUS = "labvla/robot"  # told by the robot node; a simulated cell has none
LONGEST = 600.0  # s: every step has its own time-out
SETTLING = 0.5  # s in which a status from before the call may still arrive
ENDS = ("done", "failed")


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
        if graph.node.count_publishers(graph.resolve(STATUS)):
            message = follower.follow(arguments.confirmed)
    print(message)
    return 0


class _Follower:
    """Shows a recovery's steps, and asks the operator where it waits for one."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._told: dict[str, str] = {}
        graph.node.create_subscription(DiagnosticStatus, STATUS, self._take, qos.LATCHED)

    def _take(self, status: DiagnosticStatus) -> None:
        self._told = {pair.key: pair.value for pair in status.values}

    def follow(self, confirmed: bool) -> str:
        """Return the last words, or raise them if it failed."""
        self._graph.spin_for(SETTLING)
        shown = ""
        while True:
            if not self._graph.spin_until(lambda seen=shown: self._line() != seen, LONGEST):  # type: ignore[misc]
                raise Refusal(f"the recovery does not go on: {shown}")
            shown = self._line()
            phase = self._told.get("recovery", "")
            if phase in ENDS:
                break
            print(shown)
            if phase == "waiting":
                self._confirm(confirmed)
        if phase == "failed":
            raise Refusal(self._told["doing"])
        return self._told["doing"]

    def _line(self) -> str:
        told = self._told
        if not told:
            return ""
        words = f"{told['step']}  {told['doing']}".strip()
        return f"{words}? {told['confirm']}" if told["confirm"] else f"{words} ({told['recovery']})"

    def _confirm(self, confirmed: bool) -> None:
        if not confirmed:
            if not sys.stdin.isatty():
                raise Refusal("a person has to confirm: labvla recover --confirmed")
            if input("Done, go on? [y/N] ").strip().lower() not in ("y", "yes"):
                raise Refusal("not confirmed: the robot stays stopped")
        done, message = self._graph.trigger("labvla/confirm_recovery")
        if not done:
            raise Refusal(message)
