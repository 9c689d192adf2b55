"""The frame of the doctor: named checks, run in order, each independent of the others' outcome."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from labvla_policy.runtime.cell import Cell, CellError, load_cell

Outcome = Literal["pass", "fail", "skip"]


@dataclass(frozen=True)
class Result:
    """What a check found, and what to do about it."""

    name: str
    result: Outcome
    detail: str
    hint: str = ""


class Failed(Exception):
    """The check failed."""

    def __init__(self, detail: str, hint: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.hint = hint


class Skipped(Exception):
    """The check does not apply here, or what it needs has failed already."""

    def __init__(self, detail: str, hint: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.hint = hint


@dataclass(frozen=True)
class Context:
    """What is examined: this machine, and a cell if one was named."""

    cell_name: str | None
    cameras: bool = False  # look through the calibrated ones: that needs the board at its place

    @cached_property
    def _loaded(self) -> Cell | CellError | None:
        if self.cell_name is None:
            return None
        try:
            return load_cell(self.cell_name)
        except CellError as error:
            return error

    @property
    def cell_error(self) -> CellError | None:
        """What is wrong with the cell's description, if anything."""
        return self._loaded if isinstance(self._loaded, CellError) else None

    @property
    def cell(self) -> Cell:
        """Return the cell, for checks that need one."""
        if self._loaded is None:
            raise Skipped("no cell was named", "labvla doctor CELL")
        if isinstance(self._loaded, CellError):
            raise Skipped("the cell's description has errors")
        return self._loaded


@dataclass(frozen=True)
class Check:
    """A named check. Its function returns what was found, or raises Failed or Skipped."""

    name: str
    function: Callable[[Context], str]


def examine(context: Context, checks: Sequence[Check]) -> Iterator[Result]:
    """Run the checks one after another."""
    for check in checks:
        try:
            yield Result(check.name, "pass", check.function(context))
        except Failed as failure:
            yield Result(check.name, "fail", failure.detail, failure.hint)
        except Skipped as skipped:
            yield Result(check.name, "skip", skipped.detail, skipped.hint)
