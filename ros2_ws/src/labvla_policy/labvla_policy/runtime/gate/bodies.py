"""The shapes of arms and grippers as capsules: a segment, and everything within a radius of it.

Written from the makers' published dimensions: tube diameters and lengths of the housings, in the
frames of `kinematics`. Capsules are a little larger than the housings; where they leave an edge out
it is by less than the gate's default clearance. Cables, dress packs, cameras and what the gripper
holds are not in here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from labvla_policy.runtime.cell import Arm
from labvla_policy.runtime.types import Array

Point = tuple[float, float, float]
FOOT = -1  # link index of what stands still


@dataclass(frozen=True)
class Capsule:
    """One capsule, fixed to a link."""

    body: str
    link: int  # FOOT, or the number of joints before it minus one
    start: Point
    end: Point
    radius: float


@dataclass(frozen=True)
class ArmShape:
    """The capsules of an arm without its gripper."""

    capsules: tuple[Capsule, ...]
    # Bodies that touch by construction, beyond the neighbours that a joint connects.
    joined: frozenset[frozenset[str]] = frozenset()


def _joined(*pairs: tuple[str, str]) -> frozenset[frozenset[str]]:
    return frozenset(frozenset(pair) for pair in pairs)


# Franka Research 3: tubes of 110 mm around shoulder, elbow and wrist, offset at elbow and hand.
_FR3 = ArmShape(
    (
        Capsule("foot", FOOT, (-0.07, 0, 0.055), (0, 0, 0.055), 0.103),
        Capsule("link1", 0, (0, 0, -0.14), (0, -0.01, -0.01), 0.067),
        Capsule("link1", 0, (0, -0.01, -0.01), (0, -0.08, 0), 0.067),
        Capsule("link2", 1, (0, -0.01, 0.01), (0, 0, 0.08), 0.067),
        Capsule("link2", 1, (0, -0.01, 0.01), (0, -0.145, 0), 0.067),
        Capsule("link3", 2, (0, 0, -0.075), (0, 0, 0), 0.064),
        Capsule("link3", 2, (0.01, 0.01, 0), (0.0825, 0.045, 0), 0.064),
        Capsule("link3", 2, (0.0825, 0.045, 0), (0.0825, 0.06, 0), 0.064),
        Capsule("link4", 3, (-0.01, 0.01, 0), (0, 0, 0.06), 0.064),
        Capsule("link4", 3, (-0.01, 0.01, 0), (-0.0825, 0.075, 0), 0.064),
        Capsule("link5", 4, (0, 0, -0.22), (0, 0.005, -0.17), 0.062),
        Capsule("link5", 4, (0, 0.04, -0.20), (0, 0.08, 0.0), 0.052),
        Capsule("link5", 4, (0, 0.045, 0.0), (0, 0.08, 0.008), 0.06),
        Capsule("link6", 5, (0, 0, 0.0), (0.088, 0, 0.003), 0.057),
        Capsule("link6", 5, (0.086, -0.005, 0.0), (0.088, 0.03, 0), 0.056),
        Capsule("link7", 6, (0, 0, 0.065), (0, 0, 0.095), 0.05),
        Capsule("link7", 6, (0, 0, 0.085), (0.055, 0.055, 0.085), 0.037),
    ),
    _joined(("link5", "link7")),
)

# UR5e: upper arm and forearm side by side, joint housings of 120 mm and, at the wrist, of 80 mm.
_UR5E = ArmShape(
    (
        Capsule("foot", FOOT, (0, 0, 0.02), (0, 0, 0.07), 0.078),
        Capsule("shoulder", 0, (0, 0.0, 0.145), (0, 0, 0.18), 0.066),
        Capsule("shoulder", 0, (0, 0, 0.167), (0, -0.03, 0.167), 0.072),
        Capsule("upper_arm", 1, (0, 0, 0.105), (0, 0, 0.165), 0.066),
        Capsule("upper_arm", 1, (0, 0, 0.138), (-0.425, 0, 0.138), 0.058),
        Capsule("upper_arm", 1, (-0.425, 0, 0.105), (-0.425, 0, 0.165), 0.066),
        Capsule("forearm", 2, (0, 0, -0.005), (0, 0, 0.017), 0.066),
        Capsule("forearm", 2, (0, 0, 0.007), (-0.392, 0, 0.007), 0.05),
        Capsule("forearm", 2, (-0.392, 0, -0.015), (-0.392, 0, 0.028), 0.046),
        Capsule("wrist1", 3, (0, 0, 0.085), (0, 0, 0.14), 0.046),
        Capsule("wrist1", 3, (0, -0.018, 0.133), (0, 0.021, 0.133), 0.046),
        Capsule("wrist2", 4, (0, 0, 0.08), (0, 0, 0.105), 0.046),
        Capsule("wrist2", 4, (0, -0.021, 0.099), (0, 0.018, 0.099), 0.046),
        Capsule("wrist3", 5, (0, 0, 0.07), (0, 0, 0.075), 0.046),
    ),
    _joined(("foot", "upper_arm"), ("wrist1", "wrist3")),
)

SHAPES = {"fr3": _FR3, "ur5e": _UR5E}


@dataclass(frozen=True)
class _GripperShape:
    """Capsules with the axes of the tool frame, z along the approach.

    The fingers are covered wherever they are between open and closed. Only their tips follow the
    cell's `tcp`: other fingers are longer or shorter, the housing stays.
    """

    housing: tuple[tuple[Point, Point, float], ...]  # from the flange
    fingers: tuple[tuple[Point, Point, float], ...]  # from the tool centre point


_GRIPPERS = {
    # Opens along y. The tool centre point lies 9 mm before the ends of the fingers.
    "franka_hand": _GripperShape(
        (((0, -0.072, 0.02), (0, 0.072, 0.02), 0.046),),
        (
            ((0, -0.055, -0.025), (0, 0.055, -0.025), 0.013),
            ((0, -0.055, -0.004), (0, 0.055, -0.004), 0.013),
        ),
    ),
    # Opens along x. The tool centre point lies between the ends of the closed fingers, which bow
    # back by some 10 mm as they open.
    "robotiq_2f85": _GripperShape(
        (((0, 0, 0.0), (0, 0, 0.06), 0.048), ((-0.045, 0, 0.09), (0.045, 0, 0.09), 0.032)),
        (
            ((-0.06, 0, -0.04), (0.06, 0, -0.04), 0.016),
            ((-0.055, 0, -0.014), (0.055, 0, -0.014), 0.014),
        ),
    ),
}


def capsules_of(arm: Arm) -> tuple[Capsule, ...]:
    """Return all capsules of an arm with its gripper; the gripper's are fixed to the flange."""
    shape, gripper = SHAPES[arm.kind], _GRIPPERS[arm.gripper.kind]
    tool = arm.tcp.matrix()
    turned = tool.copy()
    turned[:3, 3] = 0.0
    flange = len(arm.joints)
    return (
        *shape.capsules,
        *(_placed("gripper", flange, turned, *part) for part in gripper.housing),
        *(_placed("fingers", flange, tool, *part) for part in gripper.fingers),
    )


def touching(arm: Arm, first: Capsule, second: Capsule) -> bool:
    """Whether two capsules of one arm belong together, so that their distance means nothing."""
    if frozenset((first.body, second.body)) in SHAPES[arm.kind].joined:
        return True
    # the gripper is bolted to the last link
    last = len(arm.joints) - 1
    near, far = sorted((min(first.link, last), min(second.link, last)))
    return far - near <= 1


def _placed(body: str, link: int, frame: Array, start: Point, end: Point, radius: float) -> Capsule:
    def point(p: Point) -> Point:
        x, y, z = frame[:3, :3] @ np.array(p) + frame[:3, 3]
        return float(x), float(y), float(z)

    return Capsule(body, link, point(start), point(end), radius)
