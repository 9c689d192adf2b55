"""One thing that is drawn: a shape, where it is, how it looks, and under which name it is known.

A mark with the same layer and number replaces the one before; one that is not told any more has to
be taken away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from labvla_policy.runtime.types import Array

Colour = tuple[float, float, float, float]  # red, green, blue, opacity: 0 to 1
Key = tuple[str, int]


class Shape(Enum):
    """What is drawn."""

    BOX = "box"
    CYLINDER = "cylinder"  # along z
    LINE = "line"  # from point to point
    SEGMENTS = "segments"  # each two points are one
    SPHERES = "spheres"  # one at every point
    TEXT = "text"  # upright, turned to whoever looks


def _origin() -> Array:
    return np.eye(4)


def _no_points() -> Array:
    return np.empty((0, 3))


@dataclass(frozen=True, eq=False)
class Mark:
    """One thing that is drawn."""

    layer: str
    number: int
    shape: Shape
    colour: Colour
    size: tuple[float, float, float]  # m: edges; a line's width and a text's height come first
    pose: Array = field(default_factory=_origin)  # 4 x 4, in the cell's frame
    points: Array = field(default_factory=_no_points)  # n x 3, in the frame of `pose`
    colours: tuple[Colour, ...] = ()  # one for each point, or none
    text: str = ""
    stays: bool = False  # does not change while the cell runs

    @property
    def key(self) -> Key:
        """The name under which it is replaced."""
        return self.layer, self.number


class Board:
    """Remembers what was told, and says what has to be told next."""

    def __init__(self, repeat: float) -> None:
        """Keep nothing yet; `repeat` is the time (s) after which what stays is told again."""
        self._repeat = repeat
        self._shown: set[Key] = set()
        self._repeated = -np.inf

    def update(self, marks: Sequence[Mark], seconds: float) -> tuple[list[Mark], list[Key]]:
        """Return what to draw and what to take away; `seconds` is any steady time."""
        keys = {mark.key for mark in marks}
        if len(keys) != len(marks):
            raise ValueError("expected every mark once: two have the same layer and number")
        again = seconds - self._repeated >= self._repeat
        if again:
            self._repeated = seconds
        told = [m for m in marks if again or not m.stays or m.key not in self._shown]
        gone = sorted(self._shown - keys)
        self._shown = keys
        return told, gone
