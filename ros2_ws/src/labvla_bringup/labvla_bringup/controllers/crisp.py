"""Parameters of crisp_controllers, one controller for each arm, as joint springs."""

from __future__ import annotations

from typing import Any

from labvla_policy.runtime.cell import Arm

TYPE = "crisp_controllers/CartesianController"
TOPICS = ("target_joint", "target_pose", "target_wrench")

# A joint impedance is this controller without a task: all stiffness is in the null space.
NO_TASK = {f"k_{kind}_{axis}": 0.0 for kind in ("pos", "rot") for axis in "xyz"}
STIFFEST = 200.0  # Nm/rad that weight 1 stands for


def crisp(arm: Arm) -> dict[str, Any]:
    """Return the parameters of CartesianController for one arm."""
    springs = arm.compliance
    assert springs.kind == "impedance"
    return {
        "type": TYPE,
        "joints": list(arm.joints),
        "end_effector_frame": arm.flange_frame,
        "base_frame": arm.base_frame,
        "task": NO_TASK,
        "nullspace": {
            "stiffness": STIFFEST,
            # 0 means critical; its default of -1 would be taken for a negative damping.
            "damping": 0.0,
            "projector_type": "none",
            "max_tau": max(springs.torque),
            "weights": {
                joint: {"value": springs.stiffness[i] / STIFFEST}
                for i, joint in enumerate(arm.joints)
            },
        },
        # The robot compensates both itself.
        "use_gravity_compensation": False,
        "use_coriolis_compensation": False,
        "use_friction": False,
        "limit_torques": True,
    }
