"""Names on MoveIt's side: groups, and the links that the gate's bodies stand for."""

from __future__ import annotations

from dataclasses import dataclass

from labvla_policy.runtime.cell import Cell
from labvla_policy.runtime.cell.arm import Arm

_FRANKA_FINGERS = ("leftfinger", "rightfinger")
_ROBOTIQ_FINGERS = tuple(
    f"robotiq_85_{side}_{part}_link"
    for part in ("knuckle", "finger", "inner_knuckle", "finger_tip")
    for side in ("left", "right")
)


@dataclass(frozen=True)
class Hand:
    """A gripper as the makers' descriptions have it."""

    base: str  # link
    fingers: tuple[str, ...]  # links
    joint: str  # the driven one; the others mimic it


def arm_group(cell: Cell, arm: Arm) -> str:
    """Return the group of one arm."""
    return "arm" if len(cell.arms) == 1 else f"{arm.name}_arm"


def hand_group(cell: Cell, arm: Arm) -> str:
    """Return the group of one gripper."""
    return "hand" if len(cell.arms) == 1 else f"{arm.name}_hand"


def whole(cell: Cell) -> str:
    """Return the group of all arms, for which motions are planned."""
    return "arm" if len(cell.arms) == 1 else "both_arms"


def hand_of(arm: Arm) -> Hand:
    """Return the links of an arm's gripper."""
    if arm.gripper.kind == "franka_hand":
        name = _franka(arm)
        fingers = tuple(f"{name}_{finger}" for finger in _FRANKA_FINGERS)
        return Hand(f"{name}_hand", fingers, f"{name}_finger_joint1")
    prefix = arm.prefix
    return Hand(
        f"{prefix}robotiq_85_base_link",
        tuple(f"{prefix}{finger}" for finger in _ROBOTIQ_FINGERS),
        arm.gripper.joint,
    )


def links_of(arm: Arm) -> dict[str, tuple[str, ...]]:
    """Return the links that each of the gate's bodies stands for."""
    hand = hand_of(arm)
    grips = {"gripper": (hand.base,), "fingers": hand.fingers}
    if arm.kind == "fr3":
        name = _franka(arm)
        return {
            "foot": (f"{name}_link0",),
            **{f"link{n}": (f"{name}_link{n}",) for n in range(1, 8)},
            **grips,
        }
    names = {
        "foot": "base_link_inertia",
        "shoulder": "shoulder_link",
        "upper_arm": "upper_arm_link",
        "forearm": "forearm_link",
        "wrist1": "wrist_1_link",
        "wrist2": "wrist_2_link",
        "wrist3": "wrist_3_link",
    }
    return {body: (f"{arm.prefix}{link}",) for body, link in names.items()} | grips


def _franka(arm: Arm) -> str:
    """Return left_fr3 of left_fr3_joint1: what the maker puts before every name of an arm."""
    return arm.joints[0].removesuffix("_joint1")
