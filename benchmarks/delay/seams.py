"""What happens where one plan takes over from another; docs/benchmarks.md has the definitions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.control.arrays import Floats
from benchmarks.control.metrics import COARSE, Derivatives, coarse_jerk
from labvla_policy.runtime.plans import resampled
from labvla_policy.runtime.types import NANOSECONDS, Prediction
from labvla_sim.closed_loop import Handover, MotionRecorder
from labvla_sim.plant.controlled import PERIOD


@dataclass(frozen=True)
class Seam:
    """One hand-over; the largest figure of any joint."""

    jerk: float  # rad/s^3, peak of the reference at the control rate
    jerk_10ms: float  # the same in differences over 10 ms
    velocity_step: float  # rad/s, largest change of the reference from cycle to cycle
    gap: float  # rad, from the old plan to the new one
    velocity_gap: float  # rad/s, the same of their speeds


def seams(recorder: MotionRecorder) -> list[Seam]:
    """Return every hand-over but the first, which starts from rest."""
    positions = recorder.positions
    rates = Derivatives.of(positions, positions[0], PERIOD)
    jerk = np.abs(rates.jerk).max(axis=1)
    acceleration = np.abs(rates.acceleration).max(axis=1)
    coarse = coarse_jerk(positions, positions[0], PERIOD)
    found = []
    for before, after in zip(recorder.handovers, recorder.handovers[1:], strict=False):
        felt = _felt_from(after)
        first = _cycle(recorder, after.t) - 2
        last = min(_cycle(recorder, felt + round(after.plan.dt * NANOSECONDS)), len(jerk) - 1)
        cycles = slice(max(first, 0), last + 1)
        if jerk[cycles].size == 0:
            continue  # the episode ended with this plan's arrival
        found.append(
            Seam(
                jerk=float(jerk[cycles].max()),
                jerk_10ms=float(coarse[cycles.start : cycles.stop + COARSE].max()),
                velocity_step=float(acceleration[cycles].max() * PERIOD),
                gap=_largest(_at(after.plan, felt) - _at(before.plan, felt)),
                velocity_gap=_largest(_speed(after.plan, felt) - _speed(before.plan, felt)),
            )
        )
    return found


def _felt_from(handover: Handover) -> int:
    return max(handover.t, handover.plan.plan_start)


def _cycle(recorder: MotionRecorder, t: int) -> int:
    return round((t - recorder.stamps[0]) / (PERIOD * NANOSECONDS))


def _at(plan: Prediction, t: int) -> Floats:
    joints: Floats = resampled(plan, np.array([t]))[0][0]
    return joints


def _speed(plan: Prediction, t: int) -> Floats:
    """Return the mean speed over the row time about t; a plan stands still beyond its end."""
    row = round(plan.dt * NANOSECONDS)
    if not plan.plan_start <= t < plan.end:
        return np.zeros(plan.joint_targets.shape[1])
    first = min(max(t - row // 2, plan.plan_start), plan.end - row)
    return (_at(plan, first + row) - _at(plan, first)) / row * NANOSECONDS


def _largest(values: Floats) -> float:
    return float(np.abs(values).max())
