"""What the policy wants to do: smooth motions that the operating limits allow."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.control.arm import Arm
from benchmarks.control.arrays import Floats

# Of every operating limit: what a policy trained on this robot asks for; the rest is for its
# disagreement with itself.
SHARE = 0.5

# How far a motion strays from the home posture, where every joint has at least this much room.
REACH = 0.5

_RAMP = 1.5  # [s] over which the sines begin from rest

# Peaks of a minimum-jerk reach of distance 1 over time 1: velocity, acceleration, jerk.
_REACH_PEAKS = (1.875, 5.7735, 60.0)

Motion = Callable[[Floats], Floats]


def make_motion(kind: str, arm: Arm, duration: float, seed: int) -> Motion:
    """Return a function from instants [n] to positions [n, joints]; at rest at instant 0."""
    rng = np.random.default_rng([seed, 0])
    return {"sines": _sines, "reaches": _reaches}[kind](arm, duration, rng)


def _sines(arm: Arm, duration: float, rng: np.random.Generator) -> Motion:
    joints = len(arm.joints)
    frequency = rng.uniform(0.1, 0.7, (4, joints))
    phase = rng.uniform(0, 2 * np.pi, (4, joints))
    weight = rng.uniform(0.3, 1.0, (4, joints)) / frequency

    def shape(times: Floats) -> Floats:
        t = np.clip(times / _RAMP, 0.0, 1.0)
        ramp = t**4 * (35 - 84 * t + 70 * t**2 - 20 * t**3)
        waves = weight * np.sin(2 * np.pi * frequency * times[:, None, None] + phase)
        summed: Floats = ramp[:, None] * waves.sum(axis=1)
        return summed

    step = 1e-3
    dense = shape(np.arange(0.0, duration, step))
    amplitude = REACH / np.abs(dense).max(axis=0)
    for order, limit in enumerate((arm.velocity, arm.acceleration, arm.jerk), start=1):
        peak = np.abs(np.diff(dense, order, axis=0)).max(axis=0) / step**order
        amplitude = np.minimum(amplitude, SHARE * limit / peak)
    return lambda times: arm.home + amplitude * shape(times)


def _reaches(arm: Arm, duration: float, rng: np.random.Generator) -> Motion:
    begin, length, targets = [0.3], [], [arm.home]
    while begin[-1] < duration:
        length.append(rng.uniform(0.7, 1.6))
        limits = (arm.velocity, arm.acceleration, arm.jerk)
        longest = np.min(
            [
                SHARE * limit * length[-1] ** order / peak
                for order, (limit, peak) in enumerate(zip(limits, _REACH_PEAKS, strict=True), 1)
            ],
            axis=0,
        )
        goal = targets[-1] + longest * rng.uniform(-1.0, 1.0, len(arm.joints))
        targets.append(np.clip(goal, arm.home - REACH, arm.home + REACH))
        begin.append(begin[-1] + length[-1] + rng.uniform(0.0, 0.3))
    starts, lengths, stations = np.array(begin[:-1]), np.array(length), np.array(targets)

    def motion(times: Floats) -> Floats:
        t = np.clip((times[:, None] - starts) / lengths, 0.0, 1.0)
        progress = t**3 * (10 - 15 * t + 6 * t**2)
        positions: Floats = stations[0] + progress @ np.diff(stations, axis=0)
        return positions

    return motion
