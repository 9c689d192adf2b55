"""What a contestant is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from benchmarks.control.arrays import Bools, Floats
from benchmarks.control.streams import Stream


@dataclass(frozen=True)
class Outcome:
    """Commanded positions [cycles, joints], and which deliveries were taken."""

    positions: Floats
    accepted: Bools


class Method(Protocol):
    """Turns a stream into commanded positions, one row per control cycle."""

    @property
    def name(self) -> str:
        """Family of the method."""

    @property
    def setting(self) -> str:
        """Value of its knob; empty where there is none."""

    def run(self, stream: Stream) -> Outcome:
        """Play the stream."""
