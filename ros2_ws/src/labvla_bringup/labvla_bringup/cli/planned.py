"""Commands that have a fixed name but are not there yet: they say so, and exit with 3."""

from __future__ import annotations

import argparse
from typing import Any

from labvla_bringup.cli.errors import EnvironmentLack

PLANNED = {
    "correct": "correct the running motion in words",
    "protocol": "parse, run or resume a written protocol",
    "monitor": "show the cell in a web browser",
}


def add_to(commands: Any) -> None:
    """Add the planned commands to the parser."""
    for name, summary in PLANNED.items():
        command = commands.add_parser(
            name, help=f"(not in this version) {summary}", description=f"{summary}: not there yet"
        )
        command.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)


def run(arguments: argparse.Namespace) -> int:
    """Say that the command is not there yet."""
    summary = PLANNED[arguments.command]
    raise EnvironmentLack(
        f"labvla {arguments.command} ({summary}) is planned but not part of this version. "
        "docs/design.md, section 8, shows what it will do."
    )
