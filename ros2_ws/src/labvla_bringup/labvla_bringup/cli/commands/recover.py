"""`labvla recover`: clear a stop."""

from __future__ import annotations

import argparse

from labvla_bringup.cli.common import stack_graph
from labvla_bringup.cli.errors import Refusal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.epilog = "The robot does not move by this: the instruction has to be given again."


def run(_arguments: argparse.Namespace) -> int:
    """Call labvla/recover."""
    with stack_graph() as graph:
        done, message = graph.trigger("labvla/recover", timeout=30.0)
    if not done:
        raise Refusal(message)
    print(message)
    return 0
