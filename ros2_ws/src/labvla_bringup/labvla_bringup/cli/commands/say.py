"""`labvla say TEXT`: give the policy an instruction."""

from __future__ import annotations

import argparse

from labvla_bringup.cli.common import add_json, stack_graph
from labvla_bringup.cli.errors import ExitCode, Refusal, UsageError
from labvla_bringup.console import complain, print_json
from labvla_bringup.description import Ready
from labvla_bringup.stack import CHUNKS
from labvla_msgs.srv import SetInstruction

LONGEST_WAIT = 3600.0  # s


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("text", metavar="TEXT", help="the instruction; empty takes it away")
    parser.add_argument(
        "--wait",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="until the policy is active, at most; the instruction is said once (%(default)s)",
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Call labvla/set_instruction."""
    if not 0.0 <= arguments.wait <= LONGEST_WAIT:
        raise UsageError(f"--wait: expected 0 to {LONGEST_WAIT:g} s, got {arguments.wait:g}")
    with stack_graph() as graph:
        active = Ready(publishers=(CHUNKS,))
        if arguments.wait and not graph.spin_until(lambda: graph.is_ready(active), arguments.wait):
            raise Refusal(f"no policy became active within {arguments.wait:g} s")
        request = SetInstruction.Request(instruction=arguments.text)
        answer = graph.call(SetInstruction, "labvla/set_instruction", request)
    if arguments.json:
        print_json(
            {
                "accepted": answer.accepted,
                "message": answer.message,
                "effective_instruction": answer.effective_instruction,
            }
        )
    elif answer.accepted:
        print(answer.message)
    else:
        complain(answer.message)
    return ExitCode.DONE if answer.accepted else ExitCode.NO
