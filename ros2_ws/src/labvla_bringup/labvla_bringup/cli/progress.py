"""A bar for work that takes long; in a pipe there is none."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Tell = Callable[[int, int], None]  # how many of how many are done


@contextmanager
def progress_bar(title: str) -> Iterator[Tell]:
    """Show how far the work has come, on the error output: results go to the other."""
    console = Console(file=sys.stderr)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task(title, total=None)

        def tell(done: int, whole: int) -> None:
            progress.update(bar, completed=done, total=whole)

        yield tell
