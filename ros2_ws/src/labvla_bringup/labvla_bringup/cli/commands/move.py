"""`labvla move POSTURE`: move to a posture of the cell, checked on the whole way."""

from __future__ import annotations

import argparse
import math
import sys

from labvla_bringup.action_call import follow
from labvla_bringup.cli.common import add_json, stack_graph
from labvla_bringup.cli.errors import ExitCode, UsageError
from labvla_bringup.console import complain, print_json
from labvla_msgs.action import MoveTo


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("posture", metavar="POSTURE", nargs="?", default="", help="of the cell")
    parser.add_argument(
        "--joint",
        metavar="NAME=RAD",
        type=_joint,
        action="append",
        default=[],
        help="instead of a posture: position of one joint; the others stay",
    )
    parser.add_argument(
        "--speed",
        metavar="SHARE",
        type=float,
        default=0.0,
        help="of the operating speed, up to 1 (0.5)",
    )
    parser.epilog = (
        "The policy is interrupted and goes on only with a new instruction. Ctrl-C stops the arms "
        "smoothly on their way."
    )
    add_json(parser)


def _joint(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        position = float(value)
    except ValueError:
        position = math.nan
    if not name or not math.isfinite(position):
        raise argparse.ArgumentTypeError(
            f"expected NAME=RAD such as fr3_joint1=0.5, got {text!r}"
        ) from None
    return name, position


def run(arguments: argparse.Namespace) -> int:
    """Send the goal and follow it."""
    if bool(arguments.posture) == bool(arguments.joint):
        raise UsageError("expected either POSTURE or --joint NAME=RAD")
    goal = MoveTo.Goal(
        posture=arguments.posture,
        joint_names=[name for name, _ in arguments.joint],
        positions=[position for _, position in arguments.joint],
        speed_scale=arguments.speed,
    )
    with stack_graph() as graph:
        result = follow(graph, MoveTo, "labvla/move_to", goal, _show_progress)
    _end_progress()
    if arguments.json:
        print_json(
            {
                "success": result.success,
                "reason": result.reason,
                "message": result.message,
                "error": result.error if math.isfinite(result.error) else None,
            }
        )
    elif result.success:
        print(f"{result.message}, within {result.error * 1000:.1f} mrad")
    else:
        complain(f"{result.reason}: {result.message}" if result.reason else result.message)
    return ExitCode.DONE if result.success else ExitCode.NO


def _show_progress(feedback: MoveTo.Feedback) -> None:
    if sys.stderr.isatty():
        left = f"{feedback.remaining:.1f} s left" if math.isfinite(feedback.remaining) else "waits"
        sys.stderr.write(f"\r{feedback.progress:4.0%}  {left}  ")
        sys.stderr.flush()


def _end_progress() -> None:
    if sys.stderr.isatty():
        sys.stderr.write("\n")
