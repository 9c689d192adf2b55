"""What a cell's robots mean to MoveIt: groups, hands, named postures, links that need no look."""

from __future__ import annotations

from itertools import combinations
from xml.etree import ElementTree

from labvla_policy.runtime.cell import Cell
from labvla_policy.runtime.cell.arm import Arm
from labvla_policy.runtime.moveit.contacts import disabled, feet
from labvla_policy.runtime.moveit.groups import (
    arm_group,
    hand_group,
    hand_of,
    links_of,
    whole,
)


def srdf(cell: Cell, robot_name: str = "") -> str:
    """Return the text of an SRDF; it has to name the robot as the URDF does."""
    robot = ElementTree.Element("robot", name=robot_name or cell.name)
    for arm in cell.arms:
        _groups(robot, cell, arm)
    if len(cell.arms) > 1:
        both = _sub(robot, "group", name=whole(cell))
        for arm in cell.arms:
            _sub(both, "group", name=arm_group(cell, arm))
    _postures(robot, cell)
    for arm in cell.arms:
        _sub(
            robot,
            "end_effector",
            name=hand_group(cell, arm),
            parent_link=arm.flange_frame,
            group=hand_group(cell, arm),
            parent_group=arm_group(cell, arm),
        )
        if arm.gripper.state_topic != cell.joint_states.topic:
            # MoveIt listens to the arms' topic, and would wait for this joint for ever.
            _sub(robot, "passive_joint", name=hand_of(arm).joint)
    _contacts(robot, cell)
    ElementTree.indent(robot)
    return f'<?xml version="1.0"?>\n{ElementTree.tostring(robot, encoding="unicode")}\n'


def _groups(robot: ElementTree.Element, cell: Cell, arm: Arm) -> None:
    group = _sub(robot, "group", name=arm_group(cell, arm))
    _sub(group, "chain", base_link=arm.base_frame, tip_link=arm.flange_frame)
    hand, grips = hand_of(arm), _sub(robot, "group", name=hand_group(cell, arm))
    for link in (hand.base, *hand.fingers):
        _sub(grips, "link", name=link)
    _sub(grips, "joint", name=hand.joint)


def _postures(robot: ElementTree.Element, cell: Cell) -> None:
    for arm in cell.arms:
        for posture in arm.postures:
            state = _sub(robot, "group_state", name=posture.name, group=arm_group(cell, arm))
            _joints(state, arm, posture.joints)
        for name, value in (("open", arm.gripper.open), ("closed", arm.gripper.closed)):
            state = _sub(robot, "group_state", name=name, group=hand_group(cell, arm))
            _sub(state, "joint", name=hand_of(arm).joint, value=f"{value:.9g}")
    if len(cell.arms) > 1:
        for posture in cell.arms[0].postures:
            state = _sub(robot, "group_state", name=posture.name, group=whole(cell))
            for arm in cell.arms:
                _joints(state, arm, arm.posture(posture.name).joints)


def _joints(state: ElementTree.Element, arm: Arm, positions: tuple[float, ...]) -> None:
    for joint, position in zip(arm.joints, positions, strict=True):
        _sub(state, "joint", name=joint, value=f"{position:.9g}")


def _contacts(robot: ElementTree.Element, cell: Cell) -> None:
    """Say which links may touch: the feet the bench, others only what they always touch.

    The bench is a box of the planning scene, which an SRDF cannot name. So a foot may touch
    anything, and then every link again that it really could not.
    """
    pairs = disabled(cell)
    standing = feet(cell)
    for link in standing:
        _sub(robot, "disable_default_collisions", link=link)
    others = {
        link for arm in cell.arms for names in links_of(arm).values() for link in names
    } | set(standing)
    for first, second in combinations(sorted(others), 2):
        if (first in standing or second in standing) and (first, second) not in pairs:
            _sub(robot, "enable_collisions", link1=first, link2=second)
    for (first, second), reason in pairs.items():
        _sub(robot, "disable_collisions", link1=first, link2=second, reason=reason)


def _sub(parent: ElementTree.Element, tag: str, **attributes: str) -> ElementTree.Element:
    return ElementTree.SubElement(parent, tag, attributes)
