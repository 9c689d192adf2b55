"""The robot of the benchmark: limits and rate as the shipped cell states them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import labvla_control
from benchmarks.control.arrays import Floats
from labvla_policy.runtime.cell import Cell, load_cell
from labvla_policy.runtime.cell.arm import Arm as CellArm


@dataclass(frozen=True)
class Arm:
    """All joints of a cell, the operating limits that every reference has to keep, its policy."""

    joints: tuple[str, ...]
    period: float
    home: Floats
    lower: Floats
    upper: Floats
    velocity: Floats
    acceleration: Floats
    jerk: Floats
    hardware_jerk: Floats | None
    row_period: float
    row_offset: int
    config: dict[str, Any]

    def controller_config(self, **changes: Any) -> labvla_control.Config:
        """Return the configuration of this controller, with some keys changed."""
        return labvla_control.config_from_dict({**self.config, **changes})


def load_arm(cell_name: str) -> Arm:
    """Read a cell; commands are positions, so that a method's output is its reference itself."""
    cell = load_cell(cell_name)

    def stacked(values: Any) -> Floats:
        return np.concatenate([np.asarray(values(arm), dtype=np.float64) for arm in cell.arms])

    return Arm(
        joints=cell.joints,
        period=1.0 / cell.controller.rate,
        home=stacked(lambda arm: arm.posture("home").joints),
        lower=stacked(lambda arm: arm.operating_limits.position_lower),
        upper=stacked(lambda arm: arm.operating_limits.position_upper),
        velocity=stacked(lambda arm: arm.operating_limits.velocity),
        acceleration=stacked(lambda arm: arm.operating_limits.acceleration),
        jerk=stacked(lambda arm: arm.operating_limits.jerk),
        hardware_jerk=(
            stacked(lambda arm: arm.hardware_limits.jerk)
            if all(arm.hardware_limits.jerk for arm in cell.arms)
            else None
        ),
        row_period=1.0 / cell.policy.row_rate,
        row_offset=cell.policy.row_offset,
        config=_controller_config(cell),
    )


def _controller_config(cell: Cell) -> dict[str, Any]:
    joints = [
        _joint(arm, index, name) for arm in cell.arms for index, name in enumerate(arm.joints)
    ]
    return {
        "joints": joints,
        "period": 1.0 / cell.controller.rate,
        "command": "position",
        "compliance": "none",
    }


def _joint(arm: CellArm, index: int, name: str) -> dict[str, Any]:
    hardware, operating = arm.hardware_limits, arm.operating_limits
    # The core has one margin for both ends of a joint's range.
    margin = max(
        operating.position_lower[index] - hardware.position_lower[index],
        hardware.position_upper[index] - operating.position_upper[index],
    )
    limits: dict[str, Any] = {
        "lower": hardware.position_lower[index],
        "upper": hardware.position_upper[index],
        "velocity": hardware.velocity[index],
    }
    if near := hardware.velocity_near_limits:
        limits["velocity_law"] = {
            "offset": min(near.upper.c[index], near.lower.c[index]),
            "slope": min(near.upper.k[index], near.lower.k[index]),
            "lower": near.lower.q[index],
            "upper": near.upper.q[index],
        }
    return {
        "name": name,
        "hardware": limits,
        "operating": {
            "velocity": operating.velocity[index],
            "acceleration": operating.acceleration[index],
            "jerk": operating.jerk[index],
            "position_margin": margin,
        },
    }
