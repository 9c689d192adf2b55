"""The model of JTC against recordings of the real one under a real controller_manager.

The recordings (ros2_controllers 5.17, 500 Hz, mock hardware, `interpolate_from_desired_state`) are
the project's own measurements: two of the joints, ten chunks for each way of sending them. Which
cycle picked a chunk up is not in a recording; it was fitted once, to one cycle, and is part of the
data.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.control.arrays import Floats
from benchmarks.control.methods.jtc import Message, play

RECORDINGS = Path(__file__).parent / "data" / "jtc_reference.npz"

# How the chunks were sent: stamps and which fields.
WIRES = ("positions_trimmed", "velocities_trimmed", "velocities_zero_stamp", "velocities_past")

_PERIOD = 0.002


def deviations() -> list[dict[str, Any]]:
    """Return the model's largest distance from every recording."""
    with np.load(RECORDINGS) as recordings:
        return [_deviation(recordings, wire) for wire in WIRES]


def _deviation(recordings: Any, wire: str) -> dict[str, Any]:
    def recorded(name: str) -> Any:
        return recordings[f"{wire}_{name}"]

    messages = [
        Message(
            int(pickup),
            None if np.isnan(stamp) else float(stamp),
            times,
            positions,
            None if np.isnan(velocities).all() else velocities,
        )
        for pickup, stamp, times, positions, velocities in zip(
            *map(recorded, ("pickups", "stamps", "times_from_start", "positions", "velocities")),
            strict=True,
        )
    ]
    reference: Floats = recorded("reference")
    played = play(messages, reference[0], recorded("updates"), _PERIOD)
    errors = np.abs(played.references[recorded("recorded")] - reference)
    steps = np.abs(np.diff(reference, 2, axis=0)) / _PERIOD
    return {
        "wire": wire,
        "chunks": len(messages),
        "samples": len(reference),
        "largest_deviation_rad": float(errors.max()),
        "travel_rad": float(np.ptp(reference, axis=0).max()),
        "largest_recorded_velocity_step": float(steps.max()),
    }
