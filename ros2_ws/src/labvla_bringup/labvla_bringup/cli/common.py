"""What several commands share."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from labvla_bringup import registry
from labvla_bringup.cli.errors import EnvironmentLack, Refusal, UsageError
from labvla_bringup.engines import ENGINES, MINI
from labvla_bringup.graph import Graph, GraphError
from labvla_bringup.launched import launched_namespace
from labvla_policy.runtime.cell import Cell, CellError, load_cell
from labvla_sim.display import why_no_window

CHECKPOINT = f"a checkpoint's folder, a name that comes along ({MINI}), or a hub id"


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add --json to a command that reports."""
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def add_engine(parser: argparse.ArgumentParser, more: Sequence[str] = ()) -> None:
    """Add the choice of the engine and what it is told; `more` engines are this command's own."""
    kinds = (*ENGINES, *more)
    parser.add_argument("--engine", choices=kinds, default=ENGINES[0], help="what answers")
    parser.add_argument(
        "--checkpoint",
        metavar="DIR",
        help=f"what the engine labvla runs: {CHECKPOINT}; default: {MINI}",
    )
    parser.add_argument(
        "--engine-option",
        metavar="NAME=VALUE",
        dest="engine_options",
        action="append",
        default=[],
        help="something to tell the engine, e.g. uri=ws://127.0.0.1:8000 to remote; repeatable",
    )


def add_window(parser: argparse.ArgumentParser) -> None:
    """Add the choice whether the simulated cell is shown."""
    show = parser.add_mutually_exclusive_group()
    show.add_argument("--window", action="store_true", help="show the simulated cell in a window")
    show.add_argument(
        "--headless", dest="window", action="store_false", help="without a window (the default)"
    )


def check_window(arguments: argparse.Namespace) -> None:
    """Raise what the machine lacks for a window that is asked for."""
    if arguments.window and (missing := why_no_window()):
        raise EnvironmentLack(missing)


def engine_options(arguments: argparse.Namespace) -> dict[str, str]:
    """Return what the engine is told; the same name twice is wrong use."""
    options: dict[str, str] = {}
    if arguments.checkpoint is not None:
        # The engine's process may have another working folder.
        folder = Path(arguments.checkpoint).expanduser()
        options["checkpoint"] = str(folder.resolve()) if folder.exists() else arguments.checkpoint
    for word in arguments.engine_options:
        name, equals, value = word.partition("=")
        if not name or not equals:
            raise UsageError(f"--engine-option: expected NAME=VALUE, got {word!r}")
        if name in options:
            raise UsageError(f"--engine-option: {name} is given twice")
        options[name] = value
    return options


def cell_from(name: str) -> Cell:
    """Load a cell; a bad one is wrong input."""
    try:
        return load_cell(name)
    except CellError as error:
        raise UsageError(str(error)) from None


@contextmanager
def stack_graph() -> Iterator[Graph]:
    """Open the graph in the namespace of the stack that is up; no answer is a refusal."""
    record = registry.current()
    try:
        # Without a record the nodes may still run under launch, which leaves none.
        with Graph(record.namespace if record else launched_namespace()) as graph:
            yield graph
    except GraphError as error:
        raise Refusal(str(error)) from None
