"""Robot descriptions on mock hardware: what a manager needs, without geometry to look at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Joint(NamedTuple):
    name: str
    lower: float  # rad
    upper: float  # rad
    velocity: float  # rad/s
    effort: float  # N m
    home: float  # rad
    xyz: tuple[float, float, float] = (0.0, 0.0, 0.1)
    rpy: tuple[float, float, float] = (0.0, 0.0, 0.0)


_FR3 = (
    (-2.7437, 2.7437, 2.62, 87.0, 0.0),
    (-1.7837, 1.7837, 2.62, 87.0, -0.785),
    (-2.9007, 2.9007, 2.62, 87.0, 0.0),
    (-3.0421, -0.1518, 2.62, 87.0, -2.356),
    (-2.8065, 2.8065, 5.26, 12.0, 0.0),
    (0.5445, 4.5169, 4.18, 12.0, 1.571),
    (-3.0159, 3.0159, 5.26, 12.0, 0.785),
)
_HALF = np.pi / 2.0
# The maker's nominal kinematics, joint origins in the frame of the link before.
_UR5E = (
    Joint("shoulder_pan_joint", -6.283, 6.283, np.pi, 150.0, 0.0, (0, 0, 0.1625)),
    Joint("shoulder_lift_joint", -6.283, 6.283, np.pi, 150.0, -1.57, (0, 0, 0), (_HALF, 0, 0)),
    Joint("elbow_joint", -3.141, 3.141, np.pi, 150.0, 1.57, (-0.425, 0, 0)),
    Joint("wrist_1_joint", -6.283, 6.283, np.pi, 28.0, -1.57, (-0.3922, 0, 0.1333)),
    Joint("wrist_2_joint", -6.283, 6.283, np.pi, 28.0, -1.57, (0, -0.0997, 0), (_HALF, 0, 0)),
    Joint("wrist_3_joint", -6.283, 6.283, np.pi, 28.0, 0.0, (0, 0.0996, 0), (_HALF, np.pi, np.pi)),
)
_WRENCH = ("force.x", "force.y", "force.z", "torque.x", "torque.y", "torque.z")


def fr3_joints(prefix: str) -> list[Joint]:
    return [Joint(f"{prefix}fr3_joint{i}", *numbers) for i, numbers in enumerate(_FR3, 1)]


def joint_names(prefix: str) -> list[str]:
    return [joint.name for joint in fr3_joints(prefix)]


def _chain(prefix: str, joints: Sequence[Joint]) -> str:
    parts = [
        f'<joint name="{prefix}mount" type="fixed"><parent link="world"/>'
        f'<child link="{prefix}base_link"/></joint><link name="{prefix}base_link"/>'
    ]
    parent = f"{prefix}base_link"
    for joint in joints:
        child = f"{joint.name}_link"
        xyz, rpy = (" ".join(f"{value:.12g}" for value in part) for part in (joint.xyz, joint.rpy))
        parts.append(
            f'<joint name="{joint.name}" type="revolute"><parent link="{parent}"/>'
            f'<child link="{child}"/><origin xyz="{xyz}" rpy="{rpy}"/><axis xyz="0 0 1"/>'
            f'<limit lower="{joint.lower}" upper="{joint.upper}" velocity="{joint.velocity}" '
            f'effort="{joint.effort}"/></joint><link name="{child}"/>'
        )
        parent = child
    parts.append(
        f'<joint name="{prefix}flange" type="fixed"><parent link="{parent}"/>'
        f'<child link="{prefix}tool0"/></joint><link name="{prefix}tool0"/>'
    )
    return "\n".join(parts)


def _state(name: str, initial: float) -> str:
    return (
        f'<state_interface name="{name}"><param name="initial_value">{initial}</param>'
        "</state_interface>"
    )


def _hardware(name: str, joints: Iterable[Joint], commands: Sequence[str], extra: str = "") -> str:
    parts = []
    for joint in joints:
        written = "".join(f'<command_interface name="{command}"/>' for command in commands)
        states = _state("position", joint.home) + _state("velocity", 0.0)
        if "effort" in commands:
            states += _state("effort", 0.0)
        parts.append(f'<joint name="{joint.name}">{written}{states}</joint>')
    body = "\n".join(parts)
    # With dynamics the mock derives the velocity state from the commanded positions; it refuses
    # effort then. Mock commands let a test play the sensor and the robot's own flags.
    dynamics = str("effort" not in commands).lower()
    return (
        f'<ros2_control name="{name}" type="system"><hardware>'
        "<plugin>mock_components/GenericSystem</plugin>"
        f'<param name="calculate_dynamics">{dynamics}</param>'
        '<param name="mock_sensor_commands">true</param>'
        '<param name="mock_gpio_commands">true</param></hardware>\n'
        f"{body}\n{extra}</ros2_control>"
    )


def _robot(*parts: str) -> str:
    body = "\n".join(parts)
    return f'<?xml version="1.0"?>\n<robot name="mock">\n<link name="world"/>\n{body}\n</robot>\n'


def dual_fr3() -> str:
    """Two arms on position interfaces, one hardware component each."""
    arms = {prefix: fr3_joints(prefix) for prefix in ("left_", "right_")}
    return _robot(
        *(_chain(prefix, joints) for prefix, joints in arms.items()),
        *(_hardware(f"{prefix}arm", joints, ["position"]) for prefix, joints in arms.items()),
    )


def fr3_effort() -> str:
    """One arm on effort interfaces; its mock joints do not move, whatever the torque."""
    joints = fr3_joints("")
    return _robot(_chain("", joints), _hardware("arm", joints, ["effort"]))


def ur5e() -> str:
    """One arm on position interfaces with a wrist sensor, speed scaling and a program flag."""
    wrench = "".join(_state(axis, 0.0) for axis in _WRENCH)
    extra = (
        f'<sensor name="tcp_fts_sensor">{wrench}</sensor>\n'
        f'<gpio name="speed_scaling">{_state("speed_scaling_factor", 1.0)}</gpio>\n'
        f'<gpio name="gpio">{_state("program_running", 1.0)}</gpio>\n'
    )
    return _robot(_chain("", _UR5E), _hardware("arm", _UR5E, ["position"], extra))


def _turn(axis: int, angle: float) -> NDArray[np.float64]:
    c, s = np.cos(angle), np.sin(angle)
    turn = np.eye(3)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    turn[i, i], turn[i, j], turn[j, i], turn[j, j] = c, -s, s, c
    return turn


def ur5e_tool(positions: Sequence[float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return position and rotation of the UR5e's tool in its base."""
    at, rotation = np.zeros(3), np.eye(3)
    for joint, angle in zip(_UR5E, positions, strict=True):
        at = at + rotation @ np.array(joint.xyz)
        roll, pitch, yaw = joint.rpy
        rotation = rotation @ _turn(2, yaw) @ _turn(1, pitch) @ _turn(0, roll) @ _turn(2, angle)
    return at, rotation
