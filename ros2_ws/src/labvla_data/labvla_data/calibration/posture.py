"""Where the joints were when a picture was taken, or why that is not known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from labvla_data.calibration.detection import UnusableError
from labvla_policy.runtime.types import NANOSECONDS, Array

BEFORE = 0.3  # s before a picture for which the arm has to stand still
AFTER = 0.05  # s after it: a later sample shows that the first one was not the last for long
# 1 mrad is 0.8 mm at the end of a long arm; a standing arm's encoders tell 0.1 mrad.
STILL = 1e-3  # rad


@dataclass(frozen=True, eq=False)
class JointSample:
    """Measured joint positions."""

    stamp: int  # ns
    positions: Array  # rad


def joints_at(stamp: int, joints: Sequence[str], samples: Sequence[JointSample]) -> Array:
    """Return the positions at a stamp; the arm has to stand still around it."""
    if not samples:
        raise UnusableError("no joint states have come")
    begin, end = stamp - BEFORE * NANOSECONDS, stamp + AFTER * NANOSECONDS
    near = [sample for sample in samples if begin <= sample.stamp <= end]
    if not near or near[-1].stamp < stamp - AFTER * NANOSECONDS:
        apart = min(abs(sample.stamp - stamp) for sample in samples) / NANOSECONDS
        raise UnusableError(
            f"the joint states are stale: the nearest is {apart * 1000:.0f} ms away from the "
            f"picture, {AFTER * 1000:.0f} are good. Do camera and robot stamp by one clock, and is "
            "the camera's `latency` right?"
        )
    if near[0].stamp > stamp - BEFORE / 2 * NANOSECONDS:
        raise UnusableError(
            "the joint states before the picture are missing: whether the arm stood still is not "
            "known; they come too rarely, or too late"
        )
    positions = np.array([sample.positions for sample in near])
    travel = np.ptp(positions, axis=0)
    if travel.max() > STILL:
        worst = int(np.argmax(travel))
        raise UnusableError(
            f"the arm moves: {joints[worst]} by {travel[worst] * 1000:.1f} mrad around the "
            f"picture; up to {STILL * 1000:g} is standing still"
        )
    return np.asarray(positions.mean(axis=0))
