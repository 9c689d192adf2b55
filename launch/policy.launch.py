"""The policy alone, on the computer with the GPU; the robot is on another one (policy:=none)."""

from labvla_bringup.engines import ENGINES
from labvla_bringup.launching.actions import launch_description
from labvla_bringup.launching.choices import NAMESPACE, POLICY_SIDE, Choice, cell, policy_stack
from launch import LaunchDescription

ON_ROBOTS = tuple(engine for engine in ENGINES if engine != "expert")
POLICY = Choice("policy", "what answers observations", "labvla", ON_ROBOTS)


def generate_launch_description() -> LaunchDescription:
    """Return what `ros2 launch` runs."""
    return launch_description((cell(None), POLICY, *POLICY_SIDE, NAMESPACE), policy_stack)
