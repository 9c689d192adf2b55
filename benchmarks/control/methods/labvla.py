"""This controller: the compiled core, cycle by cycle."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

import labvla_control
from benchmarks.control.methods.base import Outcome
from benchmarks.control.streams import Stream

_NANOSECONDS = 1e9


@dataclass(frozen=True)
class Labvla:
    """The controller with the shipped parameters, or with some of them changed."""

    setting: str = ""
    changes: dict[str, Any] = field(default_factory=dict)
    name: str = "labvla"

    def run(self, stream: Stream) -> Outcome:
        """Play the stream."""
        config = stream.arm.controller_config(**self.changes)
        trace = labvla_control.simulate(
            config,
            stream.start.astype(np.float64),
            _deliveries(stream),
            stream.cycles * stream.arm.period,
        )
        return Outcome(trace.position, np.asarray(trace.accepted))


def _deliveries(stream: Stream) -> list[tuple[float, labvla_control.Chunk]]:
    """Return the stream as the core takes it."""
    return [
        (
            delivery.arrival,
            labvla_control.Chunk(
                list(stream.arm.joints),
                delivery.rows.astype(np.float64),
                stream.arm.row_period,
                plan_start_ns=round(delivery.start * _NANOSECONDS),
                observation_ns=round(delivery.observed * _NANOSECONDS),
                sequence=delivery.sequence,
            ),
        )
        for delivery in stream.deliveries
    ]
