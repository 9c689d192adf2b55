"""Two UR5e (cell dual_arm) or two Frankas (cell dual_franka) under one controller manager."""

from functools import partial

from labvla_bringup.launching.actions import launch_description
from labvla_bringup.launching.choices import calibration, robot, robot_stack
from launch import LaunchDescription

ARMS = {"left": "left", "right": "right"}  # the cell's arms, and how their arguments begin


def generate_launch_description() -> LaunchDescription:
    """Return what `ros2 launch` runs."""
    calibrations = (calibration(arm, word) for arm, word in ARMS.items())
    choices = (*robot("dual_arm", ARMS), *calibrations)
    return launch_description(choices, partial(robot_stack, arms=ARMS))
