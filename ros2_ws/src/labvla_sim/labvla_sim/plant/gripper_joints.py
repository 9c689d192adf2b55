"""Grippers as their drivers report them: one joint each, on the topics that the cell names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from labvla_policy.runtime.grippers import joint_of_opening

if TYPE_CHECKING:
    from labvla_policy.runtime.cell import Cell
    from labvla_policy.runtime.types import Array
    from labvla_sim.plant.sim_cell import RobotState


@dataclass(frozen=True)
class GripperReading:
    """The grippers of one topic."""

    names: tuple[str, ...]
    positions: Array  # in the drivers' units


def gripper_readings(cell: Cell, measured: RobotState) -> dict[str, GripperReading]:
    """Return what is published of the fingers, by topic."""
    topics: dict[str, list[tuple[str, float]]] = {}
    for arm, width in zip(cell.arms, measured.widths, strict=True):
        gripper = arm.gripper
        joint = joint_of_opening(gripper, float(width))
        topics.setdefault(gripper.state_topic, []).append((gripper.joint, joint))
    return {
        topic: GripperReading(
            tuple(name for name, _ in joints), np.array([value for _, value in joints])
        )
        for topic, joints in topics.items()
    }
