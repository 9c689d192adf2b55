"""A smooth way through postures, played from rest to rest within limits.

The way is a cubic spline over its own length, so that position, speed and acceleration have no
steps; its course in time is the same jerk-limited one that straight motions have. Slowing the whole
motion down by f divides speeds by f, accelerations by f² and jerks by f³: what f has to be is read
off the motion itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from labvla_policy.runtime.mover.profile import Profile, fastest
from labvla_policy.runtime.types import Array

LOOKED_AT = 1000  # moments at which a motion is measured
NEAR = 1e-6  # of the whole length: nearer postures are one


@dataclass(frozen=True, eq=False)
class Spline:
    """A natural cubic spline through postures, over a parameter from 0 to 1."""

    knots: Array  # of the parameter
    points: Array  # at the knots
    bends: Array  # second derivatives at the knots

    @classmethod
    def through(cls, points: Array, scale: Array) -> Spline:
        """Lay a spline through postures; `scale` says what counts as far for each joint."""
        lengths = np.linalg.norm(np.diff(points, axis=0) / scale, axis=1)
        apart = lengths > NEAR * lengths.sum()
        apart[-1] = True  # the goal is kept, whatever is so near to it that it is the same
        points = np.concatenate([points[:1], points[1:][apart]])
        lengths = np.maximum(np.linalg.norm(np.diff(points, axis=0) / scale, axis=1), 1e-12)
        knots = np.concatenate([[0.0], np.cumsum(lengths)]) / lengths.sum()
        return cls(knots, points, _bends(knots, points))

    def at(self, s: Array) -> Array:
        """Return the postures at values of the parameter: values x joints."""
        s = np.clip(np.asarray(s, dtype=np.float64), 0.0, 1.0)
        i = np.clip(np.searchsorted(self.knots, s, side="right") - 1, 0, len(self.knots) - 2)
        h = np.diff(self.knots)[i][:, np.newaxis]
        right = (s - self.knots[i])[:, np.newaxis] / h
        left = 1.0 - right
        curve = (left**3 - left) * self.bends[i] + (right**3 - right) * self.bends[i + 1]
        result: Array = left * self.points[i] + right * self.points[i + 1] + curve * h**2 / 6
        return result


def _bends(knots: Array, points: Array) -> Array:
    """Return the second derivatives that leave no step in the first one; zero at both ends."""
    bends = np.zeros_like(points)
    inner = len(knots) - 2
    if inner < 1:
        return bends
    h = np.diff(knots)
    slopes = np.diff(points, axis=0) / h[:, np.newaxis]
    # Forward and backward along three diagonals: ways may have thousands of postures.
    below, middle, above = h[1:-1], 2 * (h[:-1] + h[1:]), h[1:-1]
    right = 6 * np.diff(slopes, axis=0)
    for i in range(1, inner):
        part = below[i - 1] / middle[i - 1]
        middle[i] -= part * above[i - 1]
        right[i] -= part * right[i - 1]
    bends[inner] = right[-1] / middle[-1]
    for i in range(inner - 2, -1, -1):
        bends[i + 1] = (right[i] - above[i] * bends[i + 2]) / middle[i]
    return bends


@dataclass(frozen=True, eq=False)
class Curve:
    """A motion along a spline; like a straight leg, it begins and ends at rest."""

    spline: Spline
    profile: Profile
    scale: float  # of the profile's speed

    @classmethod
    def within(
        cls, points: Array, velocity: Array, acceleration: Array, jerk: Array, scale: float
    ) -> Curve:
        """Return the motion through postures within limits of every joint, `scale` times slower."""
        spline = Spline.through(points, velocity)
        profile = fastest(1.0, 1.0, 10.0)
        curve = cls(spline, profile, 1.0)
        times = np.linspace(0.0, curve.duration, LOOKED_AT)
        period = times[1]
        q = curve.at(times)
        needed = 0.0
        for order, limit in enumerate((velocity, acceleration, jerk), start=1):
            largest = np.abs(np.diff(q, order, axis=0)).max(axis=0) / period**order
            needed = max(needed, float(np.max(largest / limit)) ** (1 / order))
        return cls(spline, profile, scale / needed)

    @property
    def duration(self) -> float:
        """How long it takes (s)."""
        return self.profile.duration / self.scale

    @property
    def goal(self) -> Array:
        """Where it ends."""
        goal: Array = self.spline.points[-1]
        return goal

    def at(self, seconds: Array) -> Array:
        """Return the positions at times (s) from the beginning: times x joints."""
        return self.spline.at(self.profile.at(np.asarray(seconds) * self.scale))
