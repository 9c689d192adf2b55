"""Parameters of our own controller, for all arms of a cell together."""

from __future__ import annotations

from typing import Any

import numpy as np

from labvla_policy.runtime.cell import Arm, Cell
from labvla_policy.runtime.controller_settings import effective_inertia

GRAVITY = 9.81  # m/s^2
TYPE = "labvla_control/CompliantTrajectoryController"


def compliant(cell: Cell) -> dict[str, Any]:
    """Return the parameters of CompliantTrajectoryController."""
    settings: dict[str, Any] = {
        "type": TYPE,
        "joints": list(cell.joints),
        "grippers": [arm.gripper_name for arm in cell.arms],
        "command_interface": cell.arms[0].command_interface,
        "effort_unit": cell.arms[0].effort_unit,
        "compliance": "none",
        "gripper_range": {
            arm.gripper_name: {"lower": 0.0, "upper": arm.gripper.stroke} for arm in cell.arms
        },
        "hardware_limits": {j: _hardware(arm, i) for arm, i, j in _joints(cell)},
        "operating_limits": {j: _operating(arm, i) for arm, i, j in _joints(cell)},
    }
    if cell.arms[0].kind == "ur5e":
        settings["ready_interfaces"] = [f"{arm.prefix}gpio/program_running" for arm in cell.arms]
        settings["speed_scaling_interfaces"] = [
            f"{arm.prefix}speed_scaling/speed_scaling_factor" for arm in cell.arms
        ]
    yielding = [arm for arm in cell.arms if arm.compliance.kind == "admittance"]
    if all(arm.compliance.kind == "impedance" for arm in cell.arms):
        settings["compliance"] = "impedance"
        settings["impedance"] = {j: _spring(arm, i) for arm, i, j in _joints(cell)}
    elif yielding:
        settings["compliance"] = "admittance"
        settings["wrists"] = [arm.name for arm in yielding]
        settings["wrist"] = {arm.name: _wrist(arm) for arm in yielding}
        settings["admittance"] = {arm.name: _admittance(arm) for arm in yielding}
    return settings


def _joints(cell: Cell) -> list[tuple[Arm, int, str]]:
    return [(arm, i, joint) for arm in cell.arms for i, joint in enumerate(arm.joints)]


def _hardware(arm: Arm, i: int) -> dict[str, Any]:
    limits = arm.hardware_limits
    settings: dict[str, Any] = {
        "position_lower": limits.position_lower[i],
        "position_upper": limits.position_upper[i],
        "velocity": limits.velocity[i],
    }
    if near := limits.velocity_near_limits:
        settings["velocity_law"] = {
            "c": min(near.upper.c[i], near.lower.c[i]),
            "k": min(near.upper.k[i], near.lower.k[i]),
            "lower": near.lower.q[i],
            "upper": near.upper.q[i],
        }
    return settings


def _operating(arm: Arm, i: int) -> dict[str, float]:
    limits = arm.operating_limits
    return {
        "position_lower": limits.position_lower[i],
        "position_upper": limits.position_upper[i],
        "velocity": limits.velocity[i],
        "acceleration": limits.acceleration[i],
        "jerk": limits.jerk[i],
    }


def _spring(arm: Arm, i: int) -> dict[str, float]:
    springs = arm.compliance
    assert springs.kind == "impedance"
    return {
        "stiffness": springs.stiffness[i],
        "damping_ratio": springs.damping_ratio[i],
        "inertia": effective_inertia(arm)[i],
        "error_clip": springs.error_clip[i],
        "torque": springs.torque[i],
        "torque_rate": springs.torque_rate[i],
    }


def _wrist(arm: Arm) -> dict[str, str]:
    wrench = arm.wrench
    assert wrench is not None
    return {"sensor": wrench.sensor, "frame": arm.flange_frame, "base": arm.base_frame}


def _admittance(arm: Arm) -> dict[str, Any]:
    springs = arm.compliance
    assert springs.kind == "admittance"
    return {
        "mass": [*springs.mass, *springs.inertia],
        "stiffness": [*springs.stiffness, *springs.angular_stiffness],
        "damping_ratio": [springs.damping_ratio] * 6,
        "force_dead_band": springs.force_deadband,
        "torque_dead_band": springs.torque_deadband,
        "max_translation": springs.max_offset,
        "max_rotation": springs.max_rotation,
        # The robot itself takes the payload off its wrench: it is set there, once.
        "payload_mass": 0.0,
        "gravity": _gravity(arm),
    }


def _gravity(arm: Arm) -> list[float]:
    """Return gravity as the arm's foot sees it."""
    down = arm.base.matrix()[:3, :3].T @ np.array([0.0, 0.0, -GRAVITY])
    return [float(part) + 0.0 for part in np.round(down, 6)]
