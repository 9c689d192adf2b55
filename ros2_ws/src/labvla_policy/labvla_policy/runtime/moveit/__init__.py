"""MoveIt's configuration of a cell, made from the cell file. Nothing of MoveIt or ROS in here.

MoveIt plans only: no controllers are configured, and what it plans goes the way of every other
motion (see `mover`).
"""

from labvla_policy.runtime.moveit.files import config, files
from labvla_policy.runtime.moveit.groups import whole

__all__ = ["config", "files", "whole"]
