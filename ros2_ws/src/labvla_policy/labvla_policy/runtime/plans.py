"""Arithmetic on predictions: pure functions from plans to plans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from labvla_policy.runtime.types import NANOSECONDS, Array, Prediction


@dataclass(frozen=True, eq=False)
class Prefix:
    """What is executed anyway while the engine works: the first rows of what it will answer."""

    start: int  # ns, time of the first row
    dt: float
    joint_targets: Array  # rows x joints
    gripper_targets: Array  # rows x grippers

    @property
    def rows(self) -> int:
        """Number of committed rows."""
        return len(self.joint_targets)


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
    )


def first_rows(plan: Prediction, rows: int) -> Prediction:
    """Return the first rows of the plan."""
    return replace(
        plan,
        joint_targets=plan.joint_targets[:rows],
        gripper_targets=plan.gripper_targets[:rows],
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


def committed_prefix(plan: Prediction, start: int, dt: float, rows: int) -> Prefix:
    """Return what the plan does at `rows` row times from `start`, dt apart."""
    times = start + np.round(np.arange(rows) * (dt * NANOSECONDS)).astype(np.int64)
    joints, grippers = resampled(plan, times)
    return Prefix(start, dt, joints, grippers)


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
