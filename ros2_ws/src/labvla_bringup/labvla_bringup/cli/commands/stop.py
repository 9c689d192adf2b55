"""`labvla stop`: stop the motion, latched."""

from __future__ import annotations

import argparse

from labvla_bringup.cli.common import stack_graph
from labvla_bringup.cli.errors import Refusal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.epilog = "Not a replacement for the emergency stop button. `labvla recover` goes on."


def run(_arguments: argparse.Namespace) -> int:
    """Call labvla/stop."""
    with stack_graph() as graph:
        done, message = graph.trigger("labvla/stop")
    if not done:
        raise Refusal(message)
    print(message)
    return 0
