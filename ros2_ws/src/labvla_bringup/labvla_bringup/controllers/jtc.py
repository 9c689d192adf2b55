"""Parameters of joint_trajectory_controller, one for all arms: one timeline and no springs."""

from __future__ import annotations

from typing import Any

from labvla_policy.runtime.cell import Arm, Cell

TYPE = "joint_trajectory_controller/JointTrajectoryController"

# On torques it is a PD controller; the maker's own gains for this arm.
_GAINS = {"fr3": ((600, 600, 600, 600, 250, 150, 50), (30, 30, 30, 30, 10, 10, 5))}

# s after a trajectory's end until the reference is held for good. Our trajectories end at rest.
COMMAND_TIMEOUT = 0.5
GOAL_TIME = 0.1  # s; must be below the timeout, or that is ignored


def jtc(cell: Cell) -> dict[str, Any]:
    """Return the parameters of JointTrajectoryController."""
    command = cell.arms[0].command_interface
    settings: dict[str, Any] = {
        "type": TYPE,
        "joints": list(cell.joints),
        "command_interfaces": [command],
        "state_interfaces": ["position", "velocity"],
        # A replacement begins at the command; from the measured position, with a step.
        "interpolate_from_desired_state": True,
        "allow_nonzero_velocity_at_trajectory_end": False,
        "cmd_timeout": COMMAND_TIMEOUT,
        "constraints": {"goal_time": GOAL_TIME, "decelerate_on_cancel": True, **_braking(cell)},
    }
    if command == "effort":
        settings["gains"] = {
            joint: gains
            for arm in cell.arms
            for joint, gains in zip(arm.joints, _gains(arm), strict=True)
        }
    if cell.arms[0].kind == "ur5e":
        interface = f"{cell.arms[0].prefix}speed_scaling/speed_scaling_factor"
        settings["speed_scaling"] = {"state_interface": interface}
    return settings


def _braking(cell: Cell) -> dict[str, Any]:
    return {
        joint: {"max_deceleration_on_cancel": arm.operating_limits.acceleration[i]}
        for arm in cell.arms
        for i, joint in enumerate(arm.joints)
    }


def _gains(arm: Arm) -> list[dict[str, float]]:
    springs, dampers = _GAINS[arm.kind]
    return [{"p": float(p), "d": float(d)} for p, d in zip(springs, dampers, strict=True)]
