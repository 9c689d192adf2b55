"""Run a whole stream of chunks against the controller at once, in C++ and without the GIL."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labvla_control import _core

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Event:
    """Something besides chunks that happens to the controller; ``value`` where its kind has one."""

    time: float
    kind: _core.EventKind
    value: float = 0.0


@dataclass(frozen=True)
class Trace:
    """One row per control cycle; then what was said about each chunk, in order of delivery."""

    time: Floats
    position: Floats
    velocity: Floats
    acceleration: Floats
    command: Floats
    measured: Floats
    mode: NDArray[np.uint8]
    stop_reason: NDArray[np.uint8]
    limited: NDArray[np.uint8]
    anchors: NDArray[np.int64]
    sequence: NDArray[np.int64]
    splices: NDArray[np.int64]
    deviation: Floats
    blend: Floats
    plan_rate: Floats
    gripper: Floats | None
    refusals: list[_core.Refusal | None]
    row_change: Floats
    dropped: int
    samples_limited: int

    @property
    def accepted(self) -> NDArray[np.bool_]:
        """Whether each delivered chunk was accepted."""
        return np.array([r == _core.Refusal.NONE for r in self.refusals], dtype=bool)


def simulate(
    config: _core.Config,
    start: Sequence[float] | Floats,
    deliveries: Iterable[tuple[float, _core.Chunk]],
    duration: float,
    *,
    events: Iterable[Event] = (),
    plant: _core.TorquePlant | None = None,
) -> Trace:
    """Deliver ``(arrival time, chunk)`` pairs to a fresh controller and record every cycle.

    Stamps of the chunks count from activation. Without a plant the robot is where it was told to be
    one cycle ago. A chunk that arrives after ``duration`` has no verdict (``None``).
    """
    in_order = sorted(deliveries, key=lambda pair: pair[0])
    happenings = sorted(((e.time, e.kind, e.value) for e in events), key=lambda event: event[0])
    raw: dict[str, Any] = _core.run_stream(
        config, np.ascontiguousarray(start, dtype=np.float64), in_order, duration, happenings, plant
    )
    verdicts = [None if code < 0 else _core.Refusal(code) for code in raw.pop("refusal")]
    return Trace(refusals=verdicts, gripper=raw.pop("gripper", None), **raw)
