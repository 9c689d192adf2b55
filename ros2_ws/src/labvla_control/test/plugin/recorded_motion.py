"""What a controller did, cycle by cycle, from its recorded states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

HOLD, TRACKING, STOPPING, STOPPED, PAUSED, FAULT = range(6)
STANDING = 1e-6  # rad/s


def nanoseconds(stamp: Any) -> int:
    return stamp.sec * 10**9 + stamp.nanosec


@dataclass(frozen=True)
class Limits:
    """Of every joint, as configured."""

    lower: Array
    upper: Array
    velocity: Array
    acceleration: Array
    jerk: Array


def operating_limits(parameters: dict[str, Any], joints: list[str]) -> Limits:
    table = parameters["operating_limits"]

    def column(name: str) -> Array:
        return np.array([table[joint][name] for joint in joints])

    return Limits(
        column("position_lower"),
        column("position_upper"),
        column("velocity"),
        column("acceleration"),
        column("jerk"),
    )


@dataclass(frozen=True)
class Motion:
    """References of consecutive control cycles; row k is cycle k."""

    period: float
    stamps: NDArray[np.int64]
    position: Array
    velocity: Array
    acceleration: Array
    measured: Array
    mode: NDArray[np.int64]

    @classmethod
    def of(cls, states: list[Any], period: float) -> Motion:
        """Build from ControllerState messages; refuses a recording with a missing cycle."""
        motion = cls(
            period,
            np.array([nanoseconds(s.stamp) for s in states]),
            np.array([s.reference_positions for s in states]),
            np.array([s.reference_velocities for s in states]),
            np.array([s.reference_accelerations for s in states]),
            np.array([s.measured_positions for s in states]),
            np.array([s.mode for s in states]),
        )
        missing = motion.incoherence()
        if missing > 1e-5:
            raise ValueError(f"positions and velocities disagree by {missing} rad: a state is lost")
        return motion

    def incoherence(self) -> float:
        """Return how far the positions are from the integral of the velocities over one cycle."""
        mean = 0.5 * (self.velocity[1:] + self.velocity[:-1])
        step = np.diff(self.position, axis=0) - self.period * mean
        return float(np.abs(step).max(initial=0.0))

    def part(self, begin_ns: int, end_ns: int | None = None) -> Motion:
        first = int(np.searchsorted(self.stamps, begin_ns))
        last = len(self.stamps) if end_ns is None else int(np.searchsorted(self.stamps, end_ns))
        cut = slice(first, last)
        return Motion(
            self.period,
            self.stamps[cut],
            self.position[cut],
            self.velocity[cut],
            self.acceleration[cut],
            self.measured[cut],
            self.mode[cut],
        )

    def usage(self, limits: Limits) -> dict[str, float]:
        """Return the largest share of each limit that was used; 1 is the limit itself."""
        jerk = np.diff(self.acceleration, axis=0) / self.period
        room = np.minimum(self.position - limits.lower, limits.upper - self.position)
        return {
            "position": float(1.0 - room.min() / (limits.upper - limits.lower).max()),
            "velocity": float((np.abs(self.velocity) / limits.velocity).max()),
            "acceleration": float((np.abs(self.acceleration) / limits.acceleration).max()),
            "jerk": float((np.abs(jerk) / limits.jerk).max(initial=0.0)),
        }

    def largest_steps(self) -> dict[str, float]:
        """Return the largest change from one cycle to the next."""

        def step(values: Array) -> float:
            return float(np.abs(np.diff(values, axis=0)).max(initial=0.0))

        return {
            "position": step(self.position),
            "velocity": step(self.velocity),
            "acceleration": step(self.acceleration),
        }

    def speed(self) -> Array:
        return np.linalg.norm(self.velocity, axis=1)

    def first(self, mode: int) -> int | None:
        """Return the stamp of the first cycle in a mode."""
        found = np.flatnonzero(self.mode == mode)
        return int(self.stamps[found[0]]) if found.size else None

    def standstill(self) -> int | None:
        """Return the stamp from which the reference stands until the end of the recording."""
        moving = np.flatnonzero(self.speed() > STANDING)
        if not moving.size:
            return int(self.stamps[0])
        after = moving[-1] + 1
        return int(self.stamps[after]) if after < len(self.stamps) else None


def assert_inside(motion: Motion, limits: Limits) -> None:
    usage = motion.usage(limits)
    assert all(share <= 1.0 + 1e-9 for share in usage.values()), usage
