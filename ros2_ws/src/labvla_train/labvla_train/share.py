"""Which part of every batch a process has."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Share:
    """Equal parts, one after the other; all of it by default."""

    place: int = 0
    of: int = 1

    def part(self, whole: int) -> slice:
        """Return this part of so many things."""
        size = whole // self.of
        return slice(self.place * size, (self.place + 1) * size)


WHOLE = Share()
