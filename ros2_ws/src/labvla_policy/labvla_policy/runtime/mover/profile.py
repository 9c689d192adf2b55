"""A jerk-limited motion from rest to rest along a path of length one, in seven phases.

Jerk is +j, 0, -j while speeding up, then the speed is held, then -j, 0, +j. This is the fastest
motion from rest to rest under limits of speed, acceleration and jerk. All joints follow the same
course of s from 0 to 1, so they start and stop together and the way is a straight line.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from labvla_policy.runtime.types import Array


@dataclass(frozen=True)
class Profile:
    """The course of s, from 0 at time 0 to 1 at `duration`."""

    jerk: float
    jerk_time: float  # s, of each of the four phases with jerk
    acceleration_time: float  # s, of each of the two phases at constant acceleration
    cruise_time: float  # s, at constant speed

    @property
    def duration(self) -> float:
        """How long the motion takes (s)."""
        return 4 * self.jerk_time + 2 * self.acceleration_time + self.cruise_time

    def at(self, times: Array) -> Array:
        """Return s at each time (s); before the beginning 0, after the end 1."""
        times = np.clip(np.asarray(times, dtype=np.float64), 0.0, self.duration)
        half = self.duration / 2
        # the second half mirrors the first one
        s = self._first_half(np.minimum(times, self.duration - times))
        return np.where(times <= half, s, 1.0 - s)

    def _first_half(self, t: Array) -> Array:
        tj, ta, j = self.jerk_time, self.acceleration_time, self.jerk
        a = j * tj
        v1 = a * tj / 2  # speed after the first phase
        s1 = j * tj**3 / 6
        v2 = v1 + a * ta
        s2 = s1 + v1 * ta + a * ta**2 / 2
        v3 = v2 + a * tj / 2
        s3 = s2 + v2 * tj + a * tj**2 / 2 - j * tj**3 / 6
        u, w, x = t - tj, t - tj - ta, t - 2 * tj - ta
        return np.select(
            [t <= tj, u <= ta, w <= tj],
            [
                j * t**3 / 6,
                s1 + v1 * u + a * u**2 / 2,
                s2 + v2 * w + a * w**2 / 2 - j * w**3 / 6,
            ],
            s3 + v3 * x,
        )


def fastest(speed: float, acceleration: float, jerk: float) -> Profile:
    """Return the fastest course of s from 0 to 1 within limits of its three derivatives."""
    # How long jerk may last: until the acceleration limit, and no longer than half of the way to
    # the top speed, or to the middle of the path.
    jerk_time = min(acceleration / jerk, math.sqrt(speed / jerk), (0.5 / jerk) ** (1 / 3))
    a = jerk * jerk_time
    # Constant acceleration follows until top speed, unless the middle of the path comes first. The
    # distance covered while reaching the speed a (tj + ta) is a (tj + ta)(2 tj + ta) / 2.
    until_speed = speed / a - jerk_time
    until_middle = (-3 * jerk_time + math.sqrt(jerk_time**2 + 4 / a)) / 2
    acceleration_time = max(0.0, min(until_speed, until_middle))
    top = a * (jerk_time + acceleration_time)
    covered = top * (2 * jerk_time + acceleration_time)
    return Profile(jerk, jerk_time, acceleration_time, max(0.0, (1.0 - covered) / top))
