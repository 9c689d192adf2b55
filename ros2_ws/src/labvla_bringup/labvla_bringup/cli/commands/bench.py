"""`labvla bench WHAT`: measurements, each with a result as JSON and, where it helps, a picture."""

from __future__ import annotations

import argparse
import importlib
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labvla_bringup.cli.common import add_json
from labvla_bringup.cli.errors import EnvironmentLack, ExitCode
from labvla_bringup.console import print_json, print_table

# They live beside ros2_ws: a robot needs no benchmarks, so they are not installed.
_PACKAGE = "benchmarks"

_PLANNED = {
    "model": "latency and memory of the policy network",
    "node": "overhead between camera, policy and controller",
}


@dataclass(frozen=True)
class _Part:
    """One benchmark: a module `benchmarks.NAME.run` that measures, one that makes tables."""

    summary: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    measure: Callable[[argparse.Namespace, Any], dict[str, Any]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parts = parser.add_subparsers(dest="part", metavar="WHAT", required=True)
    for name, part in _PARTS.items():
        words = parts.add_parser(name, help=part.summary, description=part.summary)
        add_json(words)
        words.add_argument(
            "--out",
            metavar="DIR",
            type=Path,
            default=Path("out/bench"),
            help="where result and picture go (default: %(default)s)",
        )
        words.add_argument("--quick", action="store_true", help="a little of everything, in short")
        part.add_arguments(words)
    for name, planned in _PLANNED.items():
        words = parts.add_parser(
            name, help=f"(not in this version) {planned}", description=f"{planned}: not there yet"
        )
        words.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)


def run(arguments: argparse.Namespace) -> int:
    """Run a benchmark; what it finds is a result, not an exit code."""
    if arguments.part in _PLANNED:
        raise EnvironmentLack(
            f"labvla bench {arguments.part} ({_PLANNED[arguments.part]}) is planned but not part "
            "of this version. docs/benchmarks.md lists what is there."
        )
    benchmark = _load(f"{arguments.part}.run")
    result = _PARTS[arguments.part].measure(arguments, benchmark)
    if arguments.json:
        print_json(_load("common.result").rounded(result))
        return ExitCode.DONE
    for table in _load(f"{arguments.part}.report").tables(result):
        print_table(table.title, table.columns, table.cells)
    print(f"result: {arguments.out / benchmark.RESULT}")
    if (arguments.out / benchmark.PICTURE).exists():
        print(f"picture: {arguments.out / benchmark.PICTURE}")
    return ExitCode.DONE


def _load(module: str) -> Any:
    root = next((p for p in Path(__file__).resolve().parents if (p / _PACKAGE).is_dir()), None)
    if root is None:
        raise EnvironmentLack(
            f"the benchmarks are not installed with the packages: expected a folder {_PACKAGE}/ in "
            "a checkout around this file. Run `make setup` and `labvla bench` in a checkout."
        )
    if str(root) not in sys.path:
        sys.path.append(str(root))
    try:
        return importlib.import_module(f"{_PACKAGE}.{module}")
    except ModuleNotFoundError as error:
        raise EnvironmentLack(
            f"the benchmark needs the Python package '{error.name}', which is not installed. "
            "`make setup` installs all that the benchmarks need."
        ) from error


def _tell(text: str) -> None:
    """Show progress where somebody watches; results go to standard output."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{text} ")
        sys.stderr.flush()


def _nothing(_: argparse.ArgumentParser) -> None:
    """Add no arguments of its own."""


def _control(arguments: argparse.Namespace, benchmark: Any) -> dict[str, Any]:
    if shutil.which("c++") is None:
        raise EnvironmentLack("the cost of a cycle is measured in C++: a compiler 'c++' is needed.")
    result: dict[str, Any] = benchmark.run(arguments.out, arguments.quick, _tell)
    return result


def _data(arguments: argparse.Namespace, benchmark: Any) -> dict[str, Any]:
    result: dict[str, Any] = benchmark.run(arguments.out, arguments.quick, _tell)
    return result


def _add_delay(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--seeds", type=_count, default=20, help="episodes of each case (default: %(default)s)"
    )


def _delay(arguments: argparse.Namespace, benchmark: Any) -> dict[str, Any]:
    result: dict[str, Any] = benchmark.run(arguments.out, arguments.seeds, arguments.quick, _tell)
    return result


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, got {text}")
    return number


_PARTS = {
    "control": _Part(
        "chunk streams through this controller and models of others: jerk, lag, stops, cost",
        _nothing,
        _control,
    ),
    "data": _Part(
        "recordings to datasets: `labvla export` against a straightforward converter",
        _nothing,
        _data,
    ),
    "delay": _Part(
        "success and smoothness against the engine's delay, by scheduling mode, in simulated time",
        _add_delay,
        _delay,
    ),
}
