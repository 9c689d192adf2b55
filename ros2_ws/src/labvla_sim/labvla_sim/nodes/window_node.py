"""A window on a simulated cell, in a process of its own.

What a graphics driver does cannot disturb the plant, and closing the window ends nothing else.
"""

from __future__ import annotations

import sys

import numpy as np
from rclpy.node import Node

from labvla_msgs.msg import SimScene
from labvla_policy.nodes import qos, run
from labvla_policy.runtime.cell import load_cell
from labvla_sim.display import why_no_window
from labvla_sim.nodes.window_parameters import CELL
from labvla_sim.plant.hot_plate_device import HotPlateState
from labvla_sim.window import CellWindow, SceneName


class WindowNode(Node):  # type: ignore[misc]  # rclpy has no types
    """Listens, and draws what has come, all on the main thread: windows belong to it."""

    def __init__(self) -> None:
        super().__init__("window")
        self._window = CellWindow(load_cell(CELL.read(self)))
        self._newest: SimScene | None = None
        self.create_subscription(SimScene, "sim/scene", self._on_scene, qos.RELIABLE)

    def _on_scene(self, message: SimScene) -> None:
        self._newest = message

    def draw(self) -> bool:
        """Draw what has come, if anything has; False when somebody has closed the window."""
        told, self._newest = self._newest, None
        if told is not None and not self._window.closed_by_hand:
            self._window.show(
                SceneName(told.task, told.seed, told.variation),
                np.asarray(told.positions),
                HotPlateState(0.0, False, told.heating, told.temperature),
            )
        return not self._window.closed_by_hand

    def end(self) -> None:
        """Close the window."""
        self._window.close()


def main() -> int:
    """Show the cell until the window is closed or the node is interrupted."""
    if missing := why_no_window():
        sys.stderr.write(f"{missing}\n")
        return 3
    return run.main_of(WindowNode, between=WindowNode.draw)
