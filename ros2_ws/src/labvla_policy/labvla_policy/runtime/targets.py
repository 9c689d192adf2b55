"""From what a policy answers to absolute SI targets by joint name: done here, and only here.

A policy's rows mean different things (see the cell's `policy` contract). Every engine hands its
rows to `absolute_targets` once, and says in which space they are: a server that has already added
the state to its deltas answers `absolute`, whatever its network predicted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from labvla_policy.runtime.cell import Cell
from labvla_policy.runtime.cell.contract import ActionSpace
from labvla_policy.runtime.columns import joints_and_openings, policy_columns
from labvla_policy.runtime.quoting import quoted
from labvla_policy.runtime.refusal import Refusal, Refused
from labvla_policy.runtime.types import NANOSECONDS, Array, Observation, Prediction, Prefix

# A six-joint arm leaves a column unused; policies fill it with noise about zero. What is larger is
# a policy for another arm, whose columns mean something else.
UNUSED_COLUMN_NOISE = 0.05
_ROW_KEYS = ("actions", "action")


def rows_of_reply(reply: Any) -> Array:
    """Return the rows in a server's reply, or refuse it: errors come as maps without rows."""
    if not isinstance(reply, Mapping):
        raise _refused("error_reply", f"expected a map with rows, got {quoted(reply)}")
    if "error" in reply:
        said = f"{reply['error']} {reply.get('detail', '')}".strip()
        raise _refused("error_reply", f"the server answers: {quoted(said)}")
    found = next((key for key in _ROW_KEYS if key in reply), None)
    if found is None:
        keys = ", ".join(sorted(map(str, reply))) or "nothing"
        raise _refused("reply_incomplete", f"expected the key actions, got {quoted(keys)}")
    try:
        rows = np.asarray(reply[found], dtype=np.float64)
    except (TypeError, ValueError):
        raise _refused("prediction_shape", "expected rows x columns of numbers") from None
    if rows.ndim != 2 or 0 in rows.shape:
        raise _refused("prediction_shape", f"expected rows x columns, got {rows.shape}")
    return rows


def absolute_targets(
    rows: Array, observation: Observation, cell: Cell, space: ActionSpace
) -> Prediction:
    """Return the targets that the rows stand for, given the observation that they answer.

    `space` is that of the rows as the engine returns them: the contract's own, unless the far end
    has restored them to `absolute` already.
    """
    contract, columns = cell.policy, cell.policy.columns
    rows = np.asarray(rows, dtype=np.float64)
    if rows.ndim != 2 or len(rows) == 0:
        raise _refused("prediction_shape", f"expected rows x columns, got {rows.shape}")
    if rows.shape[1] != columns.width:
        raise _refused(
            "prediction_width",
            f"expected {columns.width} columns ({contract.layout}), got {rows.shape[1]}: nothing "
            "is cut off or filled in, since then no column would be sure to mean what it did",
            value=rows.shape[1],
            limit=columns.width,
        )
    if not np.all(np.isfinite(rows)):
        row, column = (int(i) for i in np.argwhere(~np.isfinite(rows))[0])
        raise _refused(
            "prediction_not_finite",
            f"row {row} is {rows[row, column]} there",
            subject=cell.column_names[column] or f"column {column}",
            row=row,
        )
    _check_unused_columns(rows, cell.column_names)

    dt = 1.0 / contract.row_rate
    offset = contract.row_offset
    targets, openings = joints_and_openings(cell, rows)
    if space == "velocity":
        targets = _anchor(observation, contract.anchor) + _integrated(targets, dt, offset)
    elif space == "delta_from_observation":
        targets = _anchor(observation, contract.anchor) + targets  # one anchor for all rows
    return Prediction(
        plan_start=observation.stamp + round(offset * dt * NANOSECONDS),
        dt=dt,
        joint_names=cell.joints,
        joint_targets=targets,
        gripper_names=tuple(arm.gripper_name for arm in cell.arms),
        gripper_targets=openings,
    )


def rows_of_prefix(
    prefix: Prefix, observation: Observation, cell: Cell, space: ActionSpace
) -> Array:
    """Return the rows that a policy would have to answer for `absolute_targets` to be the prefix.

    The anchor is the new observation's: the same motion is another delta than it was when the plan
    in execution was made. A velocity that leads on from a row without time offset needs the row
    after it, so there is one row less.
    """
    contract = cell.policy
    order = [prefix.joint_names.index(joint) for joint in cell.joints]
    targets = prefix.joint_targets[:, order]
    if space == "delta_from_observation":
        targets = targets - _anchor(observation, contract.anchor)
    elif space == "velocity":
        if contract.row_offset == 1:
            before = _anchor(observation, contract.anchor)[np.newaxis]
            targets = np.concatenate([before, targets])
        targets = np.diff(targets, axis=0) / prefix.dt
    grippers = [prefix.gripper_names.index(arm.gripper_name) for arm in cell.arms]
    return policy_columns(cell, targets, prefix.gripper_targets[: len(targets), grippers])


def _integrated(velocities: Array, dt: float, row_offset: int) -> Array:
    """Return the way covered at the time of each row.

    Velocity k holds from k dt to (k + 1) dt after the observation. With an offset of one, the time
    of row k is the end of that span; with none it is its beginning.
    """
    covered = np.cumsum(velocities, axis=0) * dt
    if row_offset == 0:
        covered = np.concatenate([np.zeros((1, velocities.shape[1])), covered[:-1]])
    return covered


def _anchor(observation: Observation, anchor: str) -> Array:
    if anchor == "measured":
        return observation.positions
    if observation.reference is None:
        raise _refused(
            "reference_missing",
            "the policy is anchored to the controller's reference, and none has been received: is "
            "the controller running?",
        )
    return observation.reference


def _check_unused_columns(rows: Array, names: Sequence[str | None]) -> None:
    unused = [column for column, name in enumerate(names) if name is None]
    for column in unused:
        row = int(np.argmax(np.abs(rows[:, column])))
        if abs(rows[row, column]) > UNUSED_COLUMN_NOISE:
            raise _refused(
                "unused_column",
                f"no joint belongs to it, and row {row} holds {rows[row, column]:.3g}: the policy "
                "is for an arm with more joints",
                subject=f"column {column}",
                value=float(abs(rows[row, column])),
                limit=UNUSED_COLUMN_NOISE,
                row=row,
            )


def _refused(
    reason: str,
    detail: str,
    subject: str = "",
    value: float = float("nan"),
    limit: float = float("nan"),
    row: int = -1,
) -> Refused:
    return Refused(Refusal(reason, detail, subject, value, limit, row))
