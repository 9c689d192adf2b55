"""The recorder alone: episodes are begun and ended with `labvla record`."""

from labvla_bringup.launching.actions import launch_description
from labvla_bringup.launching.choices import NAMESPACE, RECORDINGS, cell, recorder_stack
from launch import LaunchDescription


def generate_launch_description() -> LaunchDescription:
    """Return what `ros2 launch` runs."""
    return launch_description((cell(None), RECORDINGS, NAMESPACE), recorder_stack)
