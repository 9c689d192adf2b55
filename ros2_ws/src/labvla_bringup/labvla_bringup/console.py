"""What people see in the terminal: the merged log of the stack, tables, results as JSON."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

_COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "bright_red")


class LogPrinter:
    """Merges the output of several processes, each line marked with its process's name."""

    def __init__(self, names: Sequence[str], stream: TextIO | None = None) -> None:
        self._console = Console(file=stream or sys.stdout, soft_wrap=True, highlight=False)
        self._width = max(map(len, [*names, "labvla"]))
        self._colours = {name: _COLOURS[i % len(_COLOURS)] for i, name in enumerate(names)}
        self._lock = threading.Lock()

    def line(self, name: str, text: str) -> None:
        """Print one line of a process."""
        mark = Text(f"{name:<{self._width}} | ", style=self._colours.get(name, "bold"))
        with self._lock:
            self._console.print(mark + Text.from_ansi(text))

    def note(self, text: str) -> None:
        """Print a line of the supervisor's own."""
        self.line("labvla", text)


def print_json(value: Any) -> None:
    """Print a result for machines."""
    json.dump(value, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; in a pipe without colours and without cutting anything off."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    width = None if sys.stdout.isatty() else int(os.environ.get("COLUMNS", "120"))
    Console(width=width, highlight=False).print(table)


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """Show on the error stream how far something is; nothing in a pipe."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(title)
        yield lambda done, of: bar.update(task, completed=done, total=of)


def complain(text: str) -> None:
    """Print an error."""
    sys.stderr.write(f"{text}\n")
