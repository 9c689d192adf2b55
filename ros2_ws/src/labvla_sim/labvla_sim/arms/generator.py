"""Build an arm from its table: bodies on the published chain, torque motors, our joint names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mujoco
import numpy as np

from labvla_sim import contact
from labvla_sim.drawing import Palette, add_surface, quaternion

if TYPE_CHECKING:
    from labvla_policy.runtime.cell import Arm
    from labvla_policy.runtime.types import Array
    from labvla_sim.arms.table import ArmTable, Link
    from labvla_sim.quality import Quality

# Reflected rotor inertia and friction that the robot's own torque loop leaves over.
ARMATURE = 0.1  # kgm²
DAMPING = 0.5  # Nms/rad

PALETTE = Palette(
    {
        "shell": (0.90, 0.91, 0.91),
        "joint": (0.50, 0.52, 0.55),
        "dark": (0.13, 0.14, 0.16),
        "metal": (0.66, 0.67, 0.69),
        "rubber": (0.07, 0.07, 0.08),
        "glow": (0.25, 0.55, 0.95),
    },
    shine={"shell": 0.35, "joint": 0.5, "metal": 0.7, "dark": 0.3},
)

_ZONES = {"foot": contact.foot, "middle": contact.middle, "far_end": contact.far_end}


def build(table: ArmTable, arm: Arm, index: int, quality: Quality) -> Any:
    """Return an MjSpec with the bodies link0, link1, ... and flange."""
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    PALETTE.add(spec)
    body = spec.worldbody.add_body(name="link0")
    _dress(spec, body, table.links[0], 0, index, quality)
    limits = arm.hardware_limits
    for number, (origin, link) in enumerate(
        zip(table.chain.origins, table.links[1:], strict=True), start=1
    ):
        body = _placed(body, f"link{number}", origin)
        _dress(spec, body, link, number, index, quality)
        joint = arm.joints[number - 1]
        body.add_joint(
            name=joint,
            type=mujoco.mjtJoint.mjJNT_HINGE,
            axis=[0, 0, 1],
            limited=1,
            range=[limits.position_lower[number - 1], limits.position_upper[number - 1]],
            armature=ARMATURE,
            damping=[DAMPING, 0, 0],
        )
        torque = limits.torque[number - 1]
        spec.add_actuator(
            name=joint,
            target=joint,
            trntype=mujoco.mjtTrn.mjTRN_JOINT,
            ctrllimited=1,
            # Room for the gravity share, which the plant adds before it applies the robot's limit.
            ctrlrange=[-2 * torque, 2 * torque],
        )
    _placed(body, "flange", table.chain.flange)
    return spec


def _placed(parent: Any, name: str, pose: Array) -> Any:
    return parent.add_body(name=name, pos=pose[:3, 3], quat=quaternion(pose[:3, :3]), gravcomp=1.0)


def _dress(spec: Any, body: Any, link: Link, number: int, index: int, quality: Quality) -> None:
    """Give a link its inertia, collision capsules and shells."""
    body.explicitinertial = True
    body.mass, body.ipos = link.mass, link.com
    body.fullinertia = link.inertia
    bits = _ZONES[link.zone](index)
    for capsule in link.collision:
        body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_CAPSULE,
            fromto=np.concatenate([capsule.start, capsule.end]),
            size=[capsule.radius, 0, 0],
            contype=bits.type,
            conaffinity=bits.affinity,
            group=3,
            mass=0,
        )
    for part_number, part in enumerate(link.parts):
        add_surface(
            spec,
            body,
            f"link{number}_{part_number}",
            part.surface(quality.segments),
            material=part.material,
        )
