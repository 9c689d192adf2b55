"""Numbers that have to stay inside bounds, and the worst of them so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from labvla_policy.runtime.types import Array


@dataclass(frozen=True, eq=False)
class Bounds:
    """Where numbers have to stay, per column; without `lower` only `upper` counts."""

    upper: Array
    lower: Array | None = None

    def __post_init__(self) -> None:
        room = self.upper if self.lower is None else (self.upper - self.lower) / 2
        object.__setattr__(self, "_room", np.maximum(room, 1e-12))

    @staticmethod
    def at_most(value: float) -> Bounds:
        """Return the bound that one number is for all columns."""
        return Bounds(np.array([value]))

    @staticmethod
    def symmetric(value: Array) -> Bounds:
        """Return the bounds of numbers with a sign."""
        return Bounds(value, -value)

    def excess(self, values: Array) -> Array:
        """Return by how much each number is outside; negative inside."""
        above: Array = values - self.upper
        return above if self.lower is None else np.maximum(above, self.lower - values)

    def closeness(self, excess: Array) -> Array:
        """Return excess in units of the room inside: 0 at the bound, the same for all columns."""
        result: Array = excess / self._room  # type: ignore[attr-defined]
        return result

    def nearest(self, row: int, column: int, value: float) -> float:
        """Return the bound that a number is nearest to, or that it broke."""
        upper = _at(self.upper, row, column)
        if self.lower is None:
            return upper
        lower = _at(self.lower, row, column)
        return lower if lower - value > value - upper else upper


def _at(bound: Array, row: int, column: int) -> float:
    """Return a bound out of one number, one for each column, or one for each number."""
    per_row = bound[row] if bound.ndim == 2 else bound
    return float(per_row[column if len(per_row) > 1 else 0])


@dataclass(frozen=True, eq=False)
class Series:
    """One invariant over some consecutive ticks: a row a tick, a column a joint."""

    name: str
    values: Array
    bounds: Bounds
    subjects: Sequence[str]
    tolerance: float = 0.0  # what rounding may add; nothing else is forgiven
    every: int = 1  # ticks from row to row; the last row is that of the last tick

    def times(self, ticks: Array) -> Array:
        """Return the times of its rows, given those of all ticks."""
        result: Array = ticks[:: -self.every][: len(self.values)][::-1]
        return result


@dataclass
class Invariant:
    """The worst of a series so far."""

    name: str
    joint: str = ""
    value: float = np.nan
    limit: float = np.nan
    time: float = np.nan  # s
    violations: int = 0  # numbers outside of their bounds
    first: float = np.nan  # s, of the first of them
    closeness: float = -np.inf  # 0 at the bound, positive beyond it

    def take(self, series: Series, ticks: Array) -> None:
        """Take the next ticks into account; `ticks` are their times."""
        if not series.values.size:
            return
        excess = series.bounds.excess(series.values)
        # A number that is none is beyond every bound: it must not pass unseen.
        if not excess.max() <= series.tolerance:
            outside = ~(excess <= series.tolerance)
            if not self.violations:
                self.first = float(series.times(ticks)[np.argmax(outside.any(axis=1))])
            self.violations += int(outside.sum())
        closeness = series.bounds.closeness(excess)
        at = int(closeness.argmax())
        nearest = float(closeness.flat[at])
        if np.isnan(nearest):
            nearest = np.inf
        if nearest <= self.closeness:
            return
        row, column = divmod(at, series.values.shape[1])
        self.closeness = nearest
        self.value = float(series.values[row, column])
        self.limit = series.bounds.nearest(row, column, self.value)
        self.joint = series.subjects[column]
        self.time = float(series.times(ticks)[row])
