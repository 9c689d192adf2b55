"""One Franka: its driver, the controller, and what of the stack runs on this computer."""

from functools import partial

from labvla_bringup.launching.actions import launch_description
from labvla_bringup.launching.choices import robot, robot_stack
from launch import LaunchDescription

ARMS = {"arm": "robot"}  # the cell's arm, and how its arguments begin


def generate_launch_description() -> LaunchDescription:
    """Return what `ros2 launch` runs."""
    return launch_description(robot("franka", ARMS), partial(robot_stack, arms=ARMS))
