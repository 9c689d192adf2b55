"""From a plan to a trajectory that any joint controller can follow.

It begins at the controller's reference, moves on to the rows that are still ahead, and comes to
rest on the last one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from labvla_policy.runtime.types import Array, Prediction

_NS = 1_000_000_000
_STOP_POINTS = 12  # of a stop along a path: a cubic between two of them is as good as the path


class TrajectoryRefused(ValueError):
    """A plan that cannot be made into a trajectory: nothing is sent, the one before goes on."""

    def __init__(self, reason: str, detail: str, joint: str = "") -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.joint = joint


@dataclass(frozen=True, eq=False)
class Reference:
    """What the controller commands at a moment (`controller_state.reference`, not the feedback)."""

    stamp: int  # ns
    joint_names: tuple[str, ...]  # in the controller's order
    positions: Array
    velocities: Array


@dataclass(frozen=True)
class Shaping:
    """How a trajectory leaves the reference and how it ends."""

    lead: float = 0.03  # s from now to the first point: transport and a control cycle fit in
    blend: float = 0.3  # s from the reference to the plan
    stop_acceleration: float = 1.5  # rad/s^2 with which the last rows are slowed down
    horizon: float = inf  # s of a plan that are used; the last of them are slowed down
    hold: float = 0.5  # s at rest behind the last row
    start_tolerance: float = 0.25  # rad from the reference to the plan; more is another plan
    longest_age: float = 0.1  # s of a reference that is still extrapolated


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Positions and velocities at times, for cubic interpolation; at rest at its end."""

    start: int  # ns, of time 0
    joint_names: tuple[str, ...]
    times: Array  # s, increasing
    positions: Array  # points x joints
    velocities: Array  # points x joints

    @property
    def end(self) -> int:
        """Time of the last point in ns."""
        return self.start + round(float(self.times[-1]) * _NS)

    def at(self, t: int) -> tuple[Array, Array]:
        """Return positions and velocities at a time; outside, the ends are held at rest."""
        seconds = (t - self.start) / _NS
        if not self.times[0] <= seconds <= self.times[-1]:
            return self.positions[0 if seconds < self.times[0] else -1], np.zeros(
                len(self.joint_names)
            )
        return hermite(self.times, self.positions, self.velocities, seconds)


def hermite(times: Array, positions: Array, velocities: Array, at: float) -> tuple[Array, Array]:
    """Interpolate by cubics between points with velocities, as the controllers do."""
    k = int(np.clip(np.searchsorted(times, at, side="right") - 1, 0, len(times) - 2))
    h = times[k + 1] - times[k]
    u = (at - times[k]) / h
    step = positions[k + 1] - positions[k]
    v0, v1 = h * velocities[k], h * velocities[k + 1]
    square, cube = 3 * step - 2 * v0 - v1, v0 + v1 - 2 * step
    position = positions[k] + u * (v0 + u * (square + u * cube))
    velocity = (v0 + u * (2 * square + u * 3 * cube)) / h
    return position, velocity


def trajectory_from_plan(
    plan: Prediction, reference: Reference, now: int, shaping: Shaping
) -> Trajectory:
    """Return what to follow from `now` on, in the order of the reference's joints."""
    rows = _rows_in_order(plan, reference.joint_names)
    start = now + round(shaping.lead * _NS)
    row_times = np.arange(len(rows), dtype=np.float64) * plan.dt + (plan.plan_start - start) / _NS
    row_velocities = np.gradient(rows, plan.dt, axis=0)
    ahead = row_times > 0.0
    if not ahead.any():
        raise TrajectoryRefused(
            "ends_in_past", f"the last row was due {-row_times[-1]:.3f} s before the first point"
        )
    ahead &= row_times <= max(shaping.horizon, row_times[ahead][0])

    first, first_velocity = _extrapolated(reference, start, shaping)
    planned, planned_velocity = _plan_at_start(row_times, rows, row_velocities)
    _check_distance(first - planned, reference.joint_names, shaping.start_tolerance)

    times = np.concatenate([[0.0], row_times[ahead]])
    fade = min(shaping.blend, times[-1])
    offset, drift = _faded(first - planned, first_velocity - planned_velocity, fade, times)
    positions = np.concatenate([planned[np.newaxis], rows[ahead]]) + offset
    velocities = np.concatenate([planned_velocity[np.newaxis], row_velocities[ahead]]) + drift
    times, velocities = _brought_to_rest(times, velocities, shaping.stop_acceleration)
    return _held(start, reference.joint_names, times, positions, velocities, shaping.hold)


def stop_along(trajectory: Trajectory, start: int, acceleration: float, hold: float) -> Trajectory:
    """Return how a trajectory is left from `start` on: along its path, slower and slower."""
    ahead = start + np.linspace(0, _NS, 21).astype(np.int64)
    fastest = max(float(np.abs(trajectory.at(int(t))[1]).max()) for t in ahead)
    span = fastest / (2.0 * acceleration)  # s of the path; they take twice as long
    rates = np.linspace(1.0, 0.0, _STOP_POINTS) if span > 0.0 else np.zeros(1)
    points = [trajectory.at(start + round(span * (1.0 - rate**2) * _NS)) for rate in rates]
    positions = np.array([position for position, _ in points])
    velocities = np.array([v * rate for (_, v), rate in zip(points, rates, strict=True)])
    return _held(start, trajectory.joint_names, 2 * span * (1 - rates), positions, velocities, hold)


def brake(reference: Reference, start: int, acceleration: float, hold: float) -> Trajectory:
    """Return how a reference comes to rest on a straight line in joint space."""
    begin = reference.positions + (start - reference.stamp) / _NS * reference.velocities
    duration = float(np.abs(reference.velocities).max()) / acceleration
    times, positions = np.zeros(1), begin[np.newaxis]
    velocities = np.zeros_like(positions)
    if duration > 0.0:
        end = begin + 0.5 * duration * reference.velocities
        times, positions = np.array([0.0, duration]), np.stack([begin, end])
        velocities = np.stack([reference.velocities, np.zeros_like(end)])
    return _held(start, reference.joint_names, times, positions, velocities, hold)


def _held(
    start: int,
    names: tuple[str, ...],
    times: Array,
    positions: Array,
    velocities: Array,
    hold: float,
) -> Trajectory:
    return Trajectory(
        start,
        names,
        np.append(times, times[-1] + hold),
        np.concatenate([positions, positions[-1:]]),
        np.concatenate([velocities, np.zeros_like(velocities[-1:])]),
    )


def _rows_in_order(plan: Prediction, joint_names: Sequence[str]) -> Array:
    rows = np.asarray(plan.joint_targets, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] != len(plan.joint_names) or len(rows) < 2:
        raise TrajectoryRefused(
            "target_shape",
            f"expected at least 2 rows of {len(plan.joint_names)} joints, got {rows.shape}",
        )
    if not (np.isfinite(plan.dt) and plan.dt > 0.0):
        raise TrajectoryRefused("row_time", f"expected a positive time between rows, got {plan.dt}")
    column = {name: i for i, name in enumerate(plan.joint_names)}
    if len(column) != len(plan.joint_names):
        raise TrajectoryRefused("target_names", "a joint is named twice")
    for name in joint_names:
        if name not in column:
            raise TrajectoryRefused(
                "target_names",
                f"the plan has no targets for {name}; partial plans hide a gap",
                name,
            )
    if unknown := sorted(set(column) - set(joint_names)):
        raise TrajectoryRefused(
            "target_names", f"the controller does not move {unknown[0]}", unknown[0]
        )
    rows = rows[:, [column[name] for name in joint_names]]
    if not np.all(np.isfinite(rows)):
        row, joint = (int(i) for i in np.argwhere(~np.isfinite(rows))[0])
        raise TrajectoryRefused(
            "target_not_finite", f"row {row} is {rows[row, joint]}", joint_names[joint]
        )
    return rows


def _extrapolated(reference: Reference, start: int, shaping: Shaping) -> tuple[Array, Array]:
    age = (start - reference.stamp) / _NS - shaping.lead
    if age > shaping.longest_age:
        raise TrajectoryRefused(
            "reference_stale",
            f"the reference is {age:.3f} s old, allowed are {shaping.longest_age} s; "
            "is the controller active?",
        )
    if not (np.all(np.isfinite(reference.positions)) and np.all(np.isfinite(reference.velocities))):
        raise TrajectoryRefused("reference_not_finite", "the controller's reference is not finite")
    seconds = (start - reference.stamp) / _NS
    return reference.positions + seconds * reference.velocities, reference.velocities


def _plan_at_start(times: Array, rows: Array, velocities: Array) -> tuple[Array, Array]:
    if times[0] > 0.0:  # not begun: its first row is where it waits
        return rows[0], np.zeros(rows.shape[1])
    return hermite(times, rows, velocities, 0.0)


def _check_distance(distance: Array, names: Sequence[str], allowed: float) -> None:
    joint = int(np.argmax(np.abs(distance)))
    if abs(distance[joint]) > allowed:
        raise TrajectoryRefused(
            "first_row_far",
            f"the plan is {abs(distance[joint]):.3f} rad from the reference, allowed are "
            f"{allowed} rad; plan from the newest state",
            names[joint],
        )


def _faded(position: Array, velocity: Array, duration: float, times: Array) -> tuple[Array, Array]:
    """Return an offset that begins with a position and velocity, and vanishes smoothly.

    A quintic: without acceleration at the begin, and without any of the three at the end.
    """
    s = np.clip(times / duration, 0.0, 1.0)[:, np.newaxis]
    shape = 1 + s**3 * (-10 + s * (15 - 6 * s))
    slope = s**2 * (-30 + s * (60 - 30 * s)) / duration
    lean = duration * (s + s**3 * (-6 + s * (8 - 3 * s)))
    lean_slope = 1 + s**2 * (-18 + s * (32 - 15 * s))
    return position * shape + velocity * lean, position * slope + velocity * lean_slope


def _brought_to_rest(times: Array, velocities: Array, acceleration: float) -> tuple[Array, Array]:
    """Stretch time over the last rows so that the last one is reached at rest.

    Along the path, so that nothing overshoots: the rate of plan time falls evenly from 1 to 0
    over the last `span` seconds of the plan, which then take twice as long.
    """
    fastest = float(np.abs(velocities[-1]).max())
    span = min(fastest / (2.0 * acceleration), times[-1])
    if span <= 0.0:
        return times, velocities
    begin = times[-1] - span
    part = np.clip((times - begin) / span, 0.0, 1.0)
    rate = np.sqrt(1.0 - part)
    stretched = np.where(part > 0.0, begin + 2.0 * span * (1.0 - rate), times)
    return stretched, velocities * rate[:, np.newaxis]
