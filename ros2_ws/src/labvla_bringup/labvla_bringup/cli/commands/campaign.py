"""`labvla campaign`: inject faults into a running cell and check what was promised."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from labvla_bringup import registry
from labvla_bringup.campaign import report, stops
from labvla_bringup.campaign.bench import BenchError
from labvla_bringup.campaign.campaign import conduct, schedule
from labvla_bringup.campaign.catalogue import FAULTS, Fault
from labvla_bringup.campaign.run import Result
from labvla_bringup.cli.common import add_json, cell_from
from labvla_bringup.cli.errors import ExitCode, Refusal, UsageError
from labvla_bringup.console import print_json, print_table
from labvla_bringup.graph import GraphError
from labvla_policy.runtime.cell import Cell


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("cell", metavar="CELL", nargs="?", default="franka", help="(%(default)s)")
    amount = parser.add_mutually_exclusive_group()
    amount.add_argument("--smoke", action="store_true", help="every fault once (the default)")
    amount.add_argument("--runs", type=int, metavar="N", help="so many runs over all faults")
    amount.add_argument("--stops", type=int, metavar="N", help="time so many stops instead")
    amount.add_argument("--list", action="store_true", help="tell which faults there are")
    parser.add_argument(
        "--only", action="append", metavar="FAULT", help="this fault; may be given several times"
    )
    parser.add_argument("--seed", type=int, default=1, help="of order, scenes and moments")
    parser.add_argument("--out", type=Path, default=Path("out/campaign"), help="folder for logs")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the campaign; exit code 0 when and only when every promise held in every run."""
    faults = _chosen(arguments.only)
    if arguments.list:
        _list(faults, arguments.json)
        return ExitCode.DONE
    runs = len(faults) if arguments.runs is None else arguments.runs
    if min(runs, arguments.stops or 1) < 1:
        raise UsageError("expected one run or more")
    cell = cell_from(arguments.cell)
    if registry.current() is not None:
        raise Refusal("a stack is up already; first: labvla down")
    folder = arguments.out / time.strftime("%Y%m%d-%H%M%S")
    folder.mkdir(parents=True)
    try:
        if arguments.stops is not None:
            return _stops(arguments, cell, folder)
        return _faults(arguments, cell, folder, schedule(faults, runs, arguments.seed))
    except (BenchError, GraphError) as error:
        raise Refusal(str(error)) from None


def _faults(
    arguments: argparse.Namespace, cell: Cell, folder: Path, planned: list[tuple[Fault, int]]
) -> int:
    with _progress() as progress:
        task = progress.add_task("", total=len(planned))

        def tell(result: Result) -> None:
            progress.advance(task)
            progress.console.print(report.line(result), highlight=False)

        outcome = conduct(cell, planned, folder, tell)
    found = report.as_data(outcome, cell.name, arguments.seed)
    _show(arguments.json, found, report.tables(outcome), folder / "campaign.json")
    return ExitCode.DONE if outcome.good else ExitCode.NO


def _stops(arguments: argparse.Namespace, cell: Cell, folder: Path) -> int:
    with _progress() as progress:
        task = progress.add_task("", total=arguments.stops)
        measured = stops.measure(
            cell, folder, arguments.stops, arguments.seed, lambda _: progress.advance(task)
        )
    found = report.stops_as_data(measured, cell.name, arguments.seed)
    _show(arguments.json, found, [report.stops_table(measured)], folder / "stops.json")
    return ExitCode.DONE if measured.good else ExitCode.NO


def _show(as_json: bool, found: dict[str, Any], tables: list[report.Table], path: Path) -> None:
    report.write(found, path)
    if as_json:
        print_json(found)
        return
    for table in tables:
        print_table(*table)
    print(f"result: {path}; logs beside it")


def _chosen(names: list[str] | None) -> list[Fault]:
    if not names:
        return list(FAULTS)
    known = {fault.name: fault for fault in FAULTS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(f"unknown fault {unknown[0]!r}; `labvla campaign --list` has them all")
    return [known[name] for name in dict.fromkeys(names)]


def _list(faults: list[Fault], as_json: bool) -> None:
    if as_json:
        print_json({"faults": [report.fault_as_data(fault) for fault in faults]})
        return
    rows = [
        [fault.name, ", ".join(fault.named) or "nothing", fault.recovery.value, _note(fault)]
        for fault in faults
    ]
    print_table("faults", ["fault", "has to be named", "needed after the repair", "note"], rows)


def _note(fault: Fault) -> str:
    return f"not found: {fault.accepted}" if fault.accepted else ""


def _progress() -> Progress:
    """Return a progress bar; lines about runs are printed above it."""
    console = Console(stderr=True)
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    return Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty())
