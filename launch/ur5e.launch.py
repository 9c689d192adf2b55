"""One UR5e: its driver, the controllers, and what of the stack runs on this computer."""

from functools import partial

from labvla_bringup.launching.actions import launch_description
from labvla_bringup.launching.choices import TOOL_PORT, calibration, robot, robot_stack
from launch import LaunchDescription

ARMS = {"arm": "robot"}  # the cell's arm, and how its arguments begin


def generate_launch_description() -> LaunchDescription:
    """Return what `ros2 launch` runs."""
    choices = (*robot("ur5e", ARMS), calibration("arm", "robot"), TOOL_PORT)
    return launch_description(choices, partial(robot_stack, arms=ARMS))
