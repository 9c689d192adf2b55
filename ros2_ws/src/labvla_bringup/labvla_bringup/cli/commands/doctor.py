"""`labvla doctor [CELL] [--hardware]`: preflight."""

from __future__ import annotations

import argparse
import contextlib
from dataclasses import asdict

from rich.console import Console
from rich.padding import Padding

from labvla_bringup.cli.common import add_json
from labvla_bringup.cli.errors import ExitCode, UsageError
from labvla_bringup.console import print_json
from labvla_bringup.doctor import Context, Result, dds, examine
from labvla_bringup.doctor.checks import CHECKS, HARDWARE_CHECKS
from labvla_bringup.doctor.other_side import ANSWER

_MARKS = {"pass": "[green]pass[/]", "fail": "[bold red]FAIL[/]", "skip": "[yellow]  - [/]"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("cell", metavar="CELL", nargs="?", help="name or file of a cell")
    parser.add_argument(
        "--cameras",
        action="store_true",
        help="see whether calibrated cameras have moved; the board has to be at its place",
    )
    parser.add_argument(
        "--hardware",
        action="store_true",
        help="robots, network, clocks and realtime, too: on the computer that runs the drivers",
    )
    parser.add_argument(
        "--answer",
        action="store_true",
        help="answer the test images of a doctor in another container or on another computer, "
        "until Ctrl-C",
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run all checks; exit code 1 when one fails."""
    if arguments.answer:
        return _answer()
    if arguments.hardware and arguments.cell is None:
        raise UsageError("--hardware: expected a CELL, whose robots are asked")
    checks = CHECKS + HARDWARE_CHECKS if arguments.hardware else CHECKS
    results = []
    for result in examine(Context(arguments.cell, arguments.cameras), checks):
        results.append(result)
        if not arguments.json:
            _show(result)
    ok = all(result.result != "fail" for result in results)
    if arguments.json:
        print_json({"ok": ok, "checks": [asdict(result) for result in results]})
    elif ok:
        print("nothing found that would keep this from working")
    return ExitCode.DONE if ok else ExitCode.NO


def _answer() -> int:
    print("answers test images; on the other side: labvla doctor CELL --hardware", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        dds.echo(ANSWER, lambda: False)
    return ExitCode.DONE


def _show(result: Result) -> None:
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{_MARKS[result.result]}  {result.name:<17}", end="")
    unknown = "not checked: " if result.result == "skip" else ""
    console.print(f"{unknown}{result.detail}", markup=False)
    if result.hint:
        console.print(Padding(f"→ {result.hint}", (0, 0, 0, 23)), markup=False)
