"""What people look at a cell with: configurations of rviz and Foxglove, made from the cell file.

`config/rviz` and `config/foxglove` hold what these modules print.
"""

from labvla_bringup.viewers.foxglove import foxglove_layout
from labvla_bringup.viewers.rviz import rviz_config

VIEWERS = {"rviz": rviz_config, "foxglove": foxglove_layout}

__all__ = ["VIEWERS", "foxglove_layout", "rviz_config"]
