"""Arithmetic on predictions: pure functions from plans to plans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from labvla_policy.runtime.reference import Reference
from labvla_policy.runtime.types import NANOSECONDS, Array, Prediction, Prefix

ROUNDING = 1000  # ns: row times of different plans are rounded differently
# s in which a controller that is off its plan is taken to rejoin it: its splices last about so long
REJOIN = 0.2
SLOWING = 16  # rows: from 1.5 rad/s with 2.8 rad/s^2 at 30 Hz


def rows_past(plan: Prediction, t: int) -> int:
    """Return how many rows have a time before t."""
    return int(np.searchsorted(plan.times, t, side="left"))


def from_row(plan: Prediction, row: int) -> Prediction:
    """Return the plan without the rows before `row`."""
    return replace(
        plan,
        plan_start=int(plan.times[row]),
        joint_targets=plan.joint_targets[row:],
        gripper_targets=plan.gripper_targets[row:],
        prefix_rows=max(0, plan.prefix_rows - row),
    )


def brought_to_rest(plan: Prediction, rows: int) -> Prediction:
    """Return the first rows of the plan, and then a slow-down to rest along its next ones.

    A plan that ends in motion says nothing about how to stop, and a controller that expects another
    one goes on for a while, where nobody has looked. Where too few rows follow, the last is held.
    """
    if plan.rows <= rows:
        return plan
    steps = np.arange(1, SLOWING + 1)
    slowing = steps - steps**2 / (2 * SLOWING)  # pace falls from 1 to 0: half of the rows are used
    times = plan.plan_start + (rows - 1 + slowing) * (plan.dt * NANOSECONDS)
    joints, grippers = resampled(plan, np.round(times).astype(np.int64))
    return replace(
        plan,
        joint_targets=np.concatenate([plan.joint_targets[:rows], joints]),
        gripper_targets=np.concatenate([plan.gripper_targets[:rows], grippers]),
        prefix_rows=min(plan.prefix_rows, rows),
    )


def resampled(plan: Prediction, times: NDArray[np.int64]) -> tuple[Array, Array]:
    """Return joint and gripper targets at other times; outside of the plan its ends are held.

    Joints are interpolated. Grippers are not: half-way between open and closed is neither, so each
    time takes the row before it.
    """
    rows = (np.asarray(times) - plan.plan_start) / (plan.dt * NANOSECONDS)
    rows = np.clip(rows, 0, plan.rows - 1)
    # times are whole nanoseconds: a row's own time may come out a hair below the row
    below = np.floor(rows + 1e-6).astype(int)
    above = np.minimum(below + 1, plan.rows - 1)
    part = np.clip(rows - below, 0, 1)[:, np.newaxis]
    joints = (1 - part) * plan.joint_targets[below] + part * plan.joint_targets[above]
    return joints, plan.gripper_targets[below]


def committed_prefix(
    plan: Prediction,
    start: int,
    dt: float,
    rows: int,
    frozen: int,
    executed: Sequence[Reference] = (),
) -> Prefix | None:
    """Return what is done anyway at up to `rows` row times from `start`; None after the plan's end.

    `executed` is what the controller says about its reference. While it splices, that is not the
    plan: the past is then taken as it was, and the difference that is left fades.
    """
    times = start + np.round(np.arange(rows) * (dt * NANOSECONDS)).astype(np.int64)
    times = times[times <= plan.end + ROUNDING]
    if len(times) == 0:
        return None
    joints, grippers = resampled(plan, times)
    if executed:
        joints = joints + _off_plan(plan, executed, times)
    return Prefix(
        start=start,
        dt=dt,
        joint_names=plan.joint_names,
        joint_targets=joints,
        gripper_names=plan.gripper_names,
        gripper_targets=grippers,
        frozen=min(frozen, len(times)),
    )


def _off_plan(plan: Prediction, executed: Sequence[Reference], times: NDArray[np.int64]) -> Array:
    """Return reference minus plan: known in the past, fading smoothly after the newest state."""
    stamps = np.array([state.stamp for state in executed])
    reference = np.array([state.positions for state in executed])
    differences = reference - resampled(plan, stamps)[0]
    known = np.stack([np.interp(times - stamps[-1], stamps - stamps[-1], d) for d in differences.T])
    since = np.clip((times - stamps[-1]) / (REJOIN * NANOSECONDS), 0.0, 1.0)
    fade = 1 - since**2 * (3 - 2 * since)
    fading: Array = known.T * fade[:, np.newaxis]
    return fading


def begun_at(plan: Prediction, t: int) -> Prediction:
    """Return the same rows with the first one at t."""
    return replace(plan, plan_start=t)


def slowed(plan: Prediction, scale: float, t: int) -> Prediction:
    """Return the plan at `scale` of its speed from the moment t on.

    Time is stretched about t, the hand-over: where the arm is now stays where it is, while
    stretching about the observation would shift rows that are being executed.
    """
    start = t + round((plan.plan_start - t) / scale)
    return replace(plan, plan_start=start, dt=plan.dt / scale)


def ensemble(plans: Sequence[Prediction], decay: float) -> Prediction:
    """Return the newest plan (the last one), its joints averaged with what older ones say.

    The weight of a plan is exp(-decay i), i counted from the newest: positive decay trusts the
    newest, zero averages, negative decay trusts the oldest. Rows that an older plan does not reach
    are averaged over the rest. Gripper targets are the newest plan's own.
    """
    newest = plans[-1]
    times = newest.times
    total = newest.joint_targets.copy()
    weights = np.ones((newest.rows, 1))
    for i, plan in enumerate(reversed(plans[:-1]), 1):
        covered = (times >= plan.plan_start) & (times <= plan.end)
        weight = np.exp(-decay * i) * covered[:, np.newaxis]
        total += weight * resampled(plan, times)[0]
        weights += weight
    return replace(newest, joint_targets=total / weights)
