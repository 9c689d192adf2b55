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

from labvla_bringup import registry
from labvla_bringup.cli.common import add_json
from labvla_bringup.cli.errors import EnvironmentLack, ExitCode, Refusal, UsageError
from labvla_bringup.console import print_json, print_table
from labvla_policy.model.errors import ConfigError, Unavailable

# They live beside ros2_ws: a robot needs no benchmarks, so they are not installed.
_PACKAGE = "benchmarks"
MOST_MINUTES = 24 * 60


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


def run(arguments: argparse.Namespace) -> int:
    """Run a benchmark; what it finds is a result, not an exit code."""
    benchmark = _load(f"{arguments.part}.run")
    result = _PARTS[arguments.part].measure(arguments, benchmark)
    if arguments.json:
        print_json(_load("common.result").rounded(result))
        return ExitCode.DONE
    for table in _load(f"{arguments.part}.report").tables(result):
        print_table(table.title, table.columns, table.cells)
    print(f"result: {arguments.out / benchmark.RESULT}")
    picture = getattr(benchmark, "PICTURE", None)  # not everything is easier to see than to read
    if picture is not None and (arguments.out / picture).exists():
        print(f"picture: {arguments.out / picture}")
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


def _plain(arguments: argparse.Namespace, benchmark: Any) -> dict[str, Any]:
    result: dict[str, Any] = benchmark.run(arguments.out, arguments.quick, _tell)
    return result


def _control(arguments: argparse.Namespace, benchmark: Any) -> dict[str, Any]:
    if shutil.which("c++") is None:
        raise EnvironmentLack("the cost of a cycle is measured in C++: a compiler 'c++' is needed.")
    return _plain(arguments, benchmark)


def _add_delay(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--seeds", type=_count, default=20, help="episodes of each case (default: %(default)s)"
    )


def _delay(arguments: argparse.Namespace, benchmark: Any) -> dict[str, Any]:
    result: dict[str, Any] = benchmark.run(arguments.out, arguments.seeds, arguments.quick, _tell)
    return result


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--seconds", type=_count, default=60, help="of each recording (default: %(default)s)"
    )
    parser.add_argument(
        "--load",
        action="append",
        choices=("bench", "lab", "jpeg"),
        help="what is sent; may be given several times (default: all)",
    )
    parser.add_argument(
        "--recorder",
        action="append",
        choices=("labvla", "naive"),
        help="who records; may be given several times (default: both)",
    )


def _data(arguments: argparse.Namespace, benchmark: Any) -> dict[str, Any]:
    loads = arguments.load or benchmark.LOADS
    result: dict[str, Any] = benchmark.run(
        arguments.out,
        arguments.seconds,
        loads,
        arguments.recorder or tuple(benchmark.RECORDERS),
        arguments.quick,
        _tell,
    )
    return result


def _add_soak(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--minutes", type=_minutes, default=10.0, help="of work (default: %(default)g)"
    )
    parser.add_argument("--no-recording", action="store_true", help="work without the recorder")


def _soak(arguments: argparse.Namespace, benchmark: Any) -> dict[str, Any]:
    if registry.current() is not None:
        raise Refusal("a stack is up already; first: labvla down")
    try:
        result: dict[str, Any] = benchmark.run(
            arguments.out, arguments.minutes, not arguments.no_recording, arguments.quick, _tell
        )
    except RuntimeError as error:  # of the graph, or that something of it has failed
        raise Refusal(f"{error}; its logs: {arguments.out}/soak-*") from error
    return result


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--size",
        action="append",
        choices=("full", "tiny", "mini"),
        help="which network; repeatable (default: full and mini on CUDA, tiny and mini elsewhere)",
    )
    parser.add_argument("--device", help="cpu, cuda, cuda:1 (default: CUDA where there is one)")
    parser.add_argument("--dtype", choices=("bfloat16", "float16", "float32"), help="of weights")
    parser.add_argument(
        "--calls", type=_count, default=100, help="of everything (default: %(default)s)"
    )


def _model(arguments: argparse.Namespace, benchmark: Any) -> dict[str, Any]:
    try:
        device = benchmark.device_of(arguments.device)
    except Unavailable as error:
        raise EnvironmentLack(str(error)) from None
    except ConfigError as error:
        raise UsageError(str(error)) from None
    calls = benchmark.QUICK_CALLS if arguments.quick else arguments.calls
    result: dict[str, Any] = benchmark.run(
        arguments.out, tuple(arguments.size or ()), device, arguments.dtype, calls, _tell
    )
    return result


def _minutes(text: str) -> float:
    number = float(text)
    if not 0.0 < number <= MOST_MINUTES:
        raise argparse.ArgumentTypeError(f"expected above 0, at most {MOST_MINUTES}, got {text}")
    return number


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
        "recording beside a sender that counts: cost, losses, and how many of them are known",
        _add_data,
        _data,
    ),
    "export": _Part(
        "recordings to datasets: `labvla export` against a straightforward converter",
        _nothing,
        _plain,
    ),
    "node": _Part(
        "overhead between camera, engine and controller, beside a node as usually written",
        _nothing,
        _plain,
    ),
    "sim": _Part(
        "the simulated cell: steps, pictures, messages, episodes, beside a loop as usually written",
        _nothing,
        _plain,
    ),
    "soak": _Part(
        "the whole stack at work for minutes: pace, cameras, memory, every message accounted for",
        _add_soak,
        _soak,
    ),
    "model": _Part(
        "the policy network: stages, latency, memory, several robots, and what it could take",
        _add_model,
        _model,
    ),
    "delay": _Part(
        "success and smoothness against the engine's delay, by scheduling mode, in simulated time",
        _add_delay,
        _delay,
    ),
}
