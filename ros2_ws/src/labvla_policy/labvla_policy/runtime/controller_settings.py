"""What the trajectory controller has to know of a cell, as plain data.

Names are those of the controller core's configuration (`labvla_control.config_from_dict`); the core
itself is not needed to write them down.
"""

from __future__ import annotations

from typing import Any

from labvla_policy.runtime.cell import Arm, Cell

# Inertia about each joint with the others held (kg m^2), median over the arm's tool box. A damping
# ratio of 1 then damps the slowest swing of the whole arm with 0.7. With the least inertia that a
# joint can have it would be 0.4, and a hand coming down on glass would go 17 mm too deep.
_INERTIA = {"fr3": (1.5, 1.4, 1.2, 1.0, 0.15, 0.15, 0.1)}


def effective_inertia(arm: Arm) -> tuple[float, ...]:
    """Return what each joint of an arm with springs is damped for."""
    return _INERTIA[arm.kind]


def reference_settings(cell: Cell) -> dict[str, Any]:
    """Return joints, limits and period: for a controller whose commands are its reference."""
    return {
        "joints": [_joint(arm, i) for arm in cell.arms for i in range(len(arm.joints))],
        "period": 1.0 / cell.controller.rate,
        "command": "position",
        "compliance": "none",
    }


def effort_settings(cell: Cell) -> dict[str, Any]:
    """Return the settings for a cell whose arms take torques: with springs and grippers."""
    stiff = [arm.name for arm in cell.arms if arm.compliance.kind != "impedance"]
    if stiff:
        raise ValueError(f"{stiff[0]}: expected impedance on an effort interface")
    settings = reference_settings(cell)
    springs = [_spring(arm, i) for arm in cell.arms for i in range(len(arm.joints))]
    for joint, spring in zip(settings["joints"], springs, strict=True):
        joint["impedance"] = spring
    grippers = [
        {"name": arm.gripper_name, "lower": 0.0, "upper": arm.gripper.stroke} for arm in cell.arms
    ]
    return {**settings, "grippers": grippers, "command": "effort", "compliance": "impedance"}


def _joint(arm: Arm, i: int) -> dict[str, Any]:
    hardware, operating = arm.hardware_limits, arm.operating_limits
    limits: dict[str, Any] = {
        "lower": hardware.position_lower[i],
        "upper": hardware.position_upper[i],
        "velocity": hardware.velocity[i],
    }
    if near := hardware.velocity_near_limits:
        limits["velocity_law"] = {
            "offset": min(near.upper.c[i], near.lower.c[i]),
            "slope": min(near.upper.k[i], near.lower.k[i]),
            "lower": near.lower.q[i],
            "upper": near.upper.q[i],
        }
    return {
        "name": arm.joints[i],
        "hardware": limits,
        "operating": {
            "lower": operating.position_lower[i],
            "upper": operating.position_upper[i],
            "velocity": operating.velocity[i],
            "acceleration": operating.acceleration[i],
            "jerk": operating.jerk[i],
            "position_margin": 0.0,  # the cell's operating range has its own room
        },
    }


def _spring(arm: Arm, i: int) -> dict[str, Any]:
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
