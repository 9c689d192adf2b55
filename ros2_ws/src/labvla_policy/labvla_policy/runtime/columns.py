"""Between joints with gripper openings and the columns that a policy knows, all absolute."""

from __future__ import annotations

import numpy as np

from labvla_policy.runtime import grippers
from labvla_policy.runtime.cell import Cell
from labvla_policy.runtime.types import Array


def policy_columns(cell: Cell, positions: Array, openings: Array) -> Array:
    """Return states or rows in the policy's layout; columns without a joint stay zero.

    The last axes are the cell's joints (rad) and its grippers (m); others are kept.
    """
    columns = np.zeros((*positions.shape[:-1], cell.policy.columns.width))
    first = 0
    for index, (arm, places) in enumerate(zip(cell.arms, cell.policy.columns.arms, strict=True)):
        last = first + len(arm.joints)
        columns[..., places.joints[: len(arm.joints)]] = positions[..., first:last]
        columns[..., places.gripper] = grippers.column_of_opening(arm.gripper, openings[..., index])
        first = last
    return columns


def joints_and_openings(cell: Cell, columns: Array) -> tuple[Array, Array]:
    """Return what rows in the policy's layout stand for: joints (rad) and openings (m).

    A gripper far outside of its range is refused: its unit is another one.
    """
    joints = [
        column
        for arm, places in zip(cell.arms, cell.policy.columns.arms, strict=True)
        for column in places.joints[: len(arm.joints)]
    ]
    openings = [
        grippers.openings_of_column(arm.gripper, columns[:, places.gripper], arm.gripper_name)
        for arm, places in zip(cell.arms, cell.policy.columns.arms, strict=True)
    ]
    return columns[:, joints], np.stack(openings, axis=1)
