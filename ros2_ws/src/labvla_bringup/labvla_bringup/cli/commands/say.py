"""`labvla say TEXT`: give the policy an instruction."""

from __future__ import annotations

import argparse

from labvla_bringup.cli.common import add_json, stack_graph
from labvla_bringup.cli.errors import ExitCode
from labvla_bringup.console import complain, print_json
from labvla_msgs.srv import SetInstruction


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("text", metavar="TEXT", help="the instruction; empty takes it away")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Call labvla/set_instruction."""
    with stack_graph() as graph:
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
