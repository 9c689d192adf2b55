"""A URDF of FR3-like arms on mock hardware: what a controller manager needs, without geometry."""

from __future__ import annotations

# lower, upper [rad], velocity [rad/s], effort [N m] of an FR3, joint by joint.
_LIMITS = (
    (-2.7437, 2.7437, 2.62, 87.0),
    (-1.7837, 1.7837, 2.62, 87.0),
    (-2.9007, 2.9007, 2.62, 87.0),
    (-3.0421, -0.1518, 2.62, 87.0),
    (-2.8065, 2.8065, 5.26, 12.0),
    (0.5445, 4.5169, 4.18, 12.0),
    (-3.0159, 3.0159, 5.26, 12.0),
)
HOME = (0.0, -0.785, 0.0, -2.356, 0.0, 1.571, 0.785)
_WRENCH = ("force.x", "force.y", "force.z", "torque.x", "torque.y", "torque.z")


def joint_names(prefix: str) -> list[str]:
    return [f"{prefix}fr3_joint{index}" for index in range(1, 8)]


def _links(prefix: str) -> str:
    parts = [
        f'<joint name="{prefix}mount" type="fixed"><parent link="world"/>'
        f'<child link="{prefix}link0"/></joint><link name="{prefix}link0"/>'
    ]
    for index, (name, (lower, upper, velocity, effort)) in enumerate(
        zip(joint_names(prefix), _LIMITS, strict=True), 1
    ):
        parts.append(
            f'<joint name="{name}" type="revolute"><parent link="{prefix}link{index - 1}"/>'
            f'<child link="{prefix}link{index}"/><origin xyz="0 0 0.1"/><axis xyz="0 0 1"/>'
            f'<limit lower="{lower}" upper="{upper}" velocity="{velocity}" effort="{effort}"/>'
            f'</joint><link name="{prefix}link{index}"/>'
        )
    return "\n".join(parts)


def _hardware(prefix: str) -> str:
    interfaces = []
    for name, home in zip(joint_names(prefix), HOME, strict=True):
        interfaces.append(
            f'<joint name="{name}"><command_interface name="position"/>'
            '<command_interface name="effort"/>'
            f'<state_interface name="position"><param name="initial_value">{home}</param>'
            '</state_interface><state_interface name="velocity"/></joint>'
        )
    wrench = "".join(
        f'<state_interface name="{axis}"><param name="initial_value">0.0</param></state_interface>'
        for axis in _WRENCH
    )
    interfaces.append(f'<sensor name="{prefix}tcp_fts_sensor">{wrench}</sensor>')
    body = "\n".join(interfaces)
    # With dynamics the mock derives the velocity state from the commanded positions.
    return (
        f'<ros2_control name="{prefix}arm" type="system"><hardware>'
        "<plugin>mock_components/GenericSystem</plugin>"
        '<param name="calculate_dynamics">true</param></hardware>\n'
        f"{body}\n</ros2_control>"
    )


def description(prefixes: tuple[str, ...]) -> str:
    """Return a URDF with one arm and one hardware component per prefix."""
    parts = [_links(prefix) for prefix in prefixes] + [_hardware(prefix) for prefix in prefixes]
    body = "\n".join(parts)
    return f'<?xml version="1.0"?>\n<robot name="mock">\n<link name="world"/>\n{body}\n</robot>\n'
