"""What people look at, on any computer of the lab: markers, rviz, and a socket for Foxglove."""

from dataclasses import replace

from labvla_bringup.launching.actions import launch_description
from labvla_bringup.launching.choices import NAMESPACE, RVIZ, SIM, YES_NO, Choice, cell, views_stack
from launch import LaunchDescription

FOXGLOVE = Choice("foxglove", "run foxglove_bridge, for this computer alone", "false", YES_NO)
MARKERS = Choice(
    "markers",
    "draw plans, boxes and status; false where another computer does it already",
    "true",
    YES_NO,
)
SIMULATED = replace(SIM, description="the cell is simulated: its time is the simulator's")


def generate_launch_description() -> LaunchDescription:
    """Return what `ros2 launch` runs."""
    choices = (cell(None), replace(RVIZ, default="true"), FOXGLOVE, MARKERS, SIMULATED, NAMESPACE)
    return launch_description(choices, views_stack)
