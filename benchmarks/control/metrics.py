"""What is measured of a reference; docs/benchmarks.md states the definitions for readers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.control.arrays import Bools, Floats, Indices, hermite, spline_velocities
from benchmarks.control.methods.base import Outcome
from benchmarks.control.streams import Stream

# The arm starts from rest, off the first chunk by its disagreement: not a boundary between chunks.
WARM_UP = 1.0

# Standstill.
STANDING = 1e-3

# Differences of positions lose some digits: a limit counts as broken beyond this share of it.
TOLERANCE = 1e-4

# Control cycles in the coarse differences of the jerk: 10 ms at 1 kHz.
COARSE = 10

_LAGS = (-0.05, 0.6)


@dataclass(frozen=True)
class Derivatives:
    """Backward differences of the commanded positions at the control rate: what a robot sees."""

    velocity: Floats
    acceleration: Floats
    jerk: Floats

    @classmethod
    def of(cls, positions: Floats, start: Floats, period: float) -> Derivatives:
        """Differentiate; before the first cycle the arm stood at `start`."""
        padded = np.concatenate([np.tile(start, (3, 1)), positions])
        velocity, acceleration, jerk = (
            np.diff(padded, order, axis=0)[3 - order :] / period**order for order in (1, 2, 3)
        )
        return cls(velocity, acceleration, jerk)


@dataclass(frozen=True)
class NewestPlan:
    """At each sample the newest chunk that has arrived and begun; `known` where it has a row."""

    positions: Floats
    known: Bools

    @classmethod
    def of(cls, stream: Stream) -> NewestPlan:
        """Evaluate the cubic spline through the rows of whichever chunk is newest."""
        row_period = stream.arm.row_period
        positions = np.full((stream.cycles, len(stream.arm.joints)), np.nan)
        for index in np.flatnonzero(stream.usable):
            delivery = stream.deliveries[index]
            times = delivery.row_times(row_period)
            at = stream.times[stream.pickups[index] :]
            begun = at >= times[0]
            held = begun & (at <= times[-1])
            velocities = spline_velocities(times, delivery.rows)
            rest = positions[stream.pickups[index] :]
            rest[begun] = np.nan
            rest[held] = hermite(times, delivery.rows, velocities, at[held])
        return cls(positions, ~np.isnan(positions[:, 0]))


def measure(stream: Stream, outcome: Outcome, plan: NewestPlan) -> dict[str, float]:
    """Return every figure of one run; SI units, angles in radians."""
    rates = Derivatives.of(outcome.positions, stream.start, stream.arm.period)
    return {
        **_smoothness(stream, outcome, rates),
        **_following(stream, outcome, plan),
        **_limits(stream, outcome, rates),
        **_stop(stream, outcome, rates),
        "accepted": _share(outcome.accepted[stream.usable]),
    }


def _share(flags: Any) -> float:
    return float(flags.mean())


def _smoothness(stream: Stream, outcome: Outcome, rates: Derivatives) -> dict[str, float]:
    period = stream.arm.period
    jerk = np.abs(rates.jerk).max(axis=1)
    acceleration = np.abs(rates.acceleration).max(axis=1)
    running = (stream.times > WARM_UP) & (stream.times <= stream.last_arrival)
    seams = [
        np.arange(pickup - 2, round(end / period) + 1)
        for pickup, end in zip(stream.pickups.tolist(), _seam_ends(stream), strict=True)
        if pickup * period > WARM_UP
    ]
    coarse = coarse_jerk(outcome.positions, stream.start, period)
    peaks = np.array([jerk[seam].max() for seam in seams])
    coarse_peaks = np.array([coarse[seam + COARSE].max() for seam in seams])
    bends = np.array([acceleration[seam].max() for seam in seams])
    return {
        "jerk_peak": float(jerk[running].max()),
        "jerk_p99": float(np.percentile(jerk[running], 99)),
        "acceleration_peak": float(acceleration[running].max()),
        "boundary_jerk_max": float(peaks.max()),
        "boundary_jerk_median": float(np.median(peaks)),
        "boundary_jerk_10ms": float(coarse_peaks.max()),
        "boundary_acceleration_step": float(peaks.max() * period),
        "boundary_velocity_step": float(bends.max() * period),
    }


def coarse_jerk(positions: Floats, start: Floats, period: float) -> Floats:
    """Return the largest jerk of any joint in differences over 10 ms.

    It hardly depends on the control rate, unlike the jerk of a step in acceleration.
    """
    padded = np.concatenate([np.tile(start, (3 * COARSE, 1)), positions])
    for _ in range(3):
        padded = (padded[COARSE:] - padded[:-COARSE]) / (COARSE * period)
    largest: Floats = np.abs(padded).max(axis=1)
    return largest


def _seam_ends(stream: Stream) -> list[float]:
    """Return for each delivery one row period after it can first be felt."""
    row_period = stream.arm.row_period
    return [max(d.arrival, d.start) + row_period for d in stream.deliveries]


def _following(stream: Stream, outcome: Outcome, plan: NewestPlan) -> dict[str, float]:
    """Compare with the plan, shifted by the lag that fits best, and with the intended motion."""
    period = stream.arm.period
    judged = (stream.times > WARM_UP) & (stream.times <= stream.last_arrival)
    sampled = np.flatnonzero(judged)[::4]
    lag, rms = _best_lag(outcome.positions, plan, sampled, period)
    intended = stream.motion(stream.times[judged])
    return {
        "lag": lag * period,
        "rms_shifted": rms,
        "rms_unshifted": _rms(outcome.positions, plan, sampled, 0),
        "rms_intended": float(np.sqrt(np.mean((outcome.positions[judged] - intended) ** 2))),
    }


def _best_lag(
    positions: Floats, plan: NewestPlan, sampled: Indices, period: float
) -> tuple[int, float]:
    """Return the lag in cycles with the smallest error, and that error: coarsely, then finely."""
    lowest, highest = (round(bound / period) for bound in _LAGS)
    best = (0, float("inf"))
    for step in (10, 1):
        for lag in range(lowest, highest + 1, step):
            rms = _rms(positions, plan, sampled, lag)
            if rms < best[1]:
                best = lag, rms
        lowest, highest = best[0] - step + 1, best[0] + step - 1
    return best


def _rms(positions: Floats, plan: NewestPlan, sampled: Indices, lag: int) -> float:
    then = np.clip(sampled - lag, 0, len(positions) - 1)
    known = plan.known[then]
    if not known.any():
        return float("inf")
    return float(np.sqrt(np.mean((positions[sampled[known]] - plan.positions[then[known]]) ** 2)))


def _limits(stream: Stream, outcome: Outcome, rates: Derivatives) -> dict[str, float]:
    arm = stream.arm
    slack = 1.0 + TOLERANCE
    outside = (outcome.positions < arm.lower - TOLERANCE) | (
        outcome.positions > arm.upper + TOLERANCE
    )
    broken = {
        "position": outside,
        "velocity": np.abs(rates.velocity) > slack * arm.velocity,
        "acceleration": np.abs(rates.acceleration) > slack * arm.acceleration,
        "jerk": np.abs(rates.jerk) > slack * arm.jerk,
    }
    samples = {f"{name}_violations": _share(flags.any(axis=1)) for name, flags in broken.items()}
    return {**samples, "violations": _share(np.stack(list(broken.values())).any(axis=(0, 2)))}


def _stop(stream: Stream, outcome: Outcome, rates: Derivatives) -> dict[str, float]:
    """Judge what happens after the producer was heard for the last time."""
    after = stream.times > stream.last_arrival
    moving = np.abs(rates.velocity[after]).max(axis=1) > STANDING
    still = int(np.flatnonzero(moving)[-1]) + 1 if moving.any() else 0
    travel = np.abs(np.diff(outcome.positions[after], axis=0)).sum(axis=0)
    return {
        "stop_time": float("inf") if still >= moving.size else still * stream.arm.period,
        "stop_distance": float(travel.max()),
        "stop_acceleration": float(np.abs(rates.acceleration[after]).max()),
        "stop_jerk": float(np.abs(rates.jerk[after]).max()),
    }
