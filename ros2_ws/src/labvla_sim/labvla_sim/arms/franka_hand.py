"""The Franka hand: two fingers that slide together, each half of the opening.

Outline and the 58.4 mm from flange to finger root are from the maker's description of the hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mujoco
import numpy as np

from labvla_sim import contact
from labvla_sim.arms.table import Block, Capsule, Part, ring
from labvla_sim.drawing import add_surface, yaw_quaternion

if TYPE_CHECKING:
    from labvla_policy.runtime.cell import Arm
    from labvla_sim.quality import Quality

GRIPPER = "gripper"  # actuator and tendon: metres between the fingers
FINGER_MASS = 0.015  # kg
_FINGER_ROOT = 0.0584  # m from the flange along z
_HAND_INERTIA = (0.0025, 0.001, 0.0017)  # kgm² about the centre of mass
_MOUNT_YAW = -np.pi / 4  # the hand is bolted on turned
_PAD_HALF = (0.0095, 0.0020, 0.0100)
_PAD_HEIGHT = 0.0450  # of its centre above the finger's root: the tool centre point

# Stiffer than 2000 N/m chatters at 1 ms; softer lets the width depend on the grasp force.
_STIFFNESS = 2000.0
_DAMPING = 20.0

_HAND_PARTS: tuple[Part, ...] = (
    Block("shell", (0.031, 0.1005, 0.020), 0.012, (0.0, 0.0, 0.042)),
    Block("shell", (0.030, 0.050, 0.020), 0.012, (0.0, 0.0, 0.024)),
    Block("dark", (0.020, 0.0930, 0.003), 0.002, (0.0, 0.0, 0.0605)),
    ring("joint", 0.0330, 0.000, 0.012, (0.0, 0.0, 1.0), (0.0, 0.0, 0.0)),
)
_FINGER_PARTS = (
    Block("metal", (0.0105, 0.0105, 0.0100), 0.003, (0.0, 0.0135, 0.0110)),
    Block("dark", (0.0100, 0.0048, 0.0210), 0.002, (0.0, 0.0090, 0.0340)),
    Block("rubber", _PAD_HALF, 0.0015, (0.0, _PAD_HALF[1], _PAD_HEIGHT)),
)
_HAND_COLLISION = (
    Capsule((0.0, -0.070, 0.036), (0.0, 0.070, 0.036), 0.028),
    Capsule((0.0, -0.085, 0.046), (0.0, 0.085, 0.046), 0.017),
)


def add_to(spec: Any, arm: Arm, index: int, quality: Quality) -> None:
    """Bolt a hand to the flange; its actuator commands the metres between the fingers."""
    hand = spec.body("flange").add_body(name="hand", quat=yaw_quaternion(_MOUNT_YAW), gravcomp=1.0)
    _weigh(hand, arm)
    bits = contact.far_end(index)
    for capsule in _HAND_COLLISION:
        hand.add_geom(
            type=mujoco.mjtGeom.mjGEOM_CAPSULE,
            fromto=np.concatenate([capsule.start, capsule.end]),
            size=[capsule.radius, 0, 0],
            contype=bits.type,
            conaffinity=bits.affinity,
            group=3,
            mass=0,
        )
    for number, part in enumerate(_HAND_PARTS):
        add_surface(
            spec,
            hand,
            f"hand_{number}",
            part.surface(quality.segments),
            material=part.material,
        )
    for side, yaw in (("left", 0.0), ("right", np.pi)):
        _finger(spec, hand, arm, f"{side}_finger", yaw, bits, quality)
    _couple(spec, arm)


def _weigh(hand: Any, arm: Arm) -> None:
    """Take mass and centre of the whole tool from the cell, less the fingers."""
    hand.explicitinertial = True
    hand.mass = arm.payload.mass - 2 * FINGER_MASS
    x, y, z = arm.payload.com
    cosine, sine = np.cos(-_MOUNT_YAW), np.sin(-_MOUNT_YAW)
    hand.ipos = [cosine * x - sine * y, sine * x + cosine * y, z]
    hand.inertia = _HAND_INERTIA


def _finger(
    spec: Any,
    hand: Any,
    arm: Arm,
    name: str,
    yaw: float,
    bits: contact.ContactBits,
    quality: Quality,
) -> None:
    finger = hand.add_body(
        name=name, pos=[0, 0, _FINGER_ROOT], quat=yaw_quaternion(yaw), gravcomp=1.0
    )
    finger.explicitinertial = True
    finger.mass, finger.ipos = FINGER_MASS, [0, 0.01, 0.03]
    finger.inertia = [5e-6, 5e-6, 2e-6]
    finger.add_joint(
        name=name,
        type=mujoco.mjtJoint.mjJNT_SLIDE,
        axis=[0, 1, 0],
        limited=1,
        range=[0, arm.gripper.stroke / 2],
        armature=0.05,
        damping=[_DAMPING, 0, 0],
    )
    for part in _FINGER_PARTS[:-1]:
        finger.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=part.origin,
            size=part.half,
            contype=bits.type,
            conaffinity=bits.affinity,
            group=3,
            mass=0,
        )
    pad = _FINGER_PARTS[-1]
    # Soft pads (MuJoCo's default 20 ms) tilt the grasped vessel; `priority` makes these win.
    finger.add_geom(
        name=f"{name}_pad",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        pos=pad.origin,
        size=pad.half,
        contype=bits.type,
        conaffinity=bits.affinity,
        group=3,
        mass=0,
        condim=4,
        friction=[1.5, 0.02, 0.0005],
        solref=[0.005, 1.0],
        solimp=[0.95, 0.99, 0.001, 0.5, 2.0],
        priority=2,
    )
    for number, part in enumerate(_FINGER_PARTS):
        add_surface(
            spec,
            finger,
            f"{name}_{number}",
            part.surface(quality.segments),
            material=part.material,
        )


def _couple(spec: Any, arm: Arm) -> None:
    """Tie the fingers: two fingers on springs of their own let a grasped object drift sideways."""
    left, right = "left_finger", "right_finger"
    equality = spec.add_equality(
        type=mujoco.mjtEq.mjEQ_JOINT, name1=right, name2=left, solref=[0.002, 1.0]
    )
    equality.data[:5] = [0, 1, 0, 0, 0]
    width = spec.add_tendon(name=GRIPPER)
    width.wrap_joint(left, 1.0)
    width.wrap_joint(right, 1.0)
    actuator = spec.add_actuator(
        name=GRIPPER,
        target=GRIPPER,
        trntype=mujoco.mjtTrn.mjTRN_TENDON,
        ctrllimited=1,
        ctrlrange=[0, arm.gripper.stroke],
        forcelimited=1,
        forcerange=[-arm.gripper.force, arm.gripper.force],
    )
    actuator.gainprm[0] = _STIFFNESS
    actuator.biastype = mujoco.mjtBias.mjBIAS_AFFINE
    actuator.biasprm[1] = -_STIFFNESS
