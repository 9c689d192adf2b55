"""The robot of the benchmark: limits and rate as the shipped cell states them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import labvla_control
from benchmarks.control.arrays import Floats
from labvla_policy.runtime.cell import load_cell
from labvla_policy.runtime.controller_settings import reference_settings


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
        config=reference_settings(cell),
    )
