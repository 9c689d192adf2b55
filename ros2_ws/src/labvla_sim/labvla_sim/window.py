"""A window on a cell: MuJoCo's viewer, fed with what somebody else simulates.

It draws a model of its own and pushes nothing back: what is dragged with the mouse moves in the
window alone.
"""

from __future__ import annotations

import copy
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import mujoco
import mujoco.viewer

from labvla_sim.plant.appearance import HotPlateFace
from labvla_sim.plant.hot_plate_device import HotPlateState
from labvla_sim.quality import CAMERA
from labvla_sim.scene.build import build_scene
from labvla_sim.tasks.episode import sample_episode
from labvla_sim.views import aim_at_cell

if TYPE_CHECKING:
    from labvla_policy.runtime.cell import Cell
    from labvla_policy.runtime.types import Array
    from labvla_sim.tasks.variation import VariationName

_ENDING = 5.0  # s for the viewer's thread to give the window back


@dataclass(frozen=True)
class SceneName:
    """What says what stands on the bench at the beginning."""

    task: str
    seed: int
    variation: VariationName


class CellWindow:
    """One window, for one thread. A new scene opens it anew."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._name: SceneName | None = None
        self._viewer: Any = None
        self._threads: list[threading.Thread] = []

    @property
    def closed_by_hand(self) -> bool:
        """Whether somebody has closed the window."""
        return self._viewer is not None and not self._viewer.is_running()

    def show(self, name: SceneName, positions: Array, plate: HotPlateState) -> None:
        """Draw a moment of a scene."""
        if name != self._name:
            self.close()
            self._open(name)
        if len(positions) != self._model.nq:
            raise ValueError(
                f"expected {self._model.nq} positions for {name}, got {len(positions)}: is this "
                "window of the same version as the simulation?"
            )
        with self._viewer.lock():
            self._data.qpos[:] = positions
            mujoco.mj_kinematics(self._model, self._data)
            mujoco.mj_camlight(self._model, self._data)
            if self._face is not None:
                self._face.show(plate)
        self._viewer.sync()

    def close(self) -> None:
        """Close the window and wait until it is gone: else the process crashes at its end."""
        if self._viewer is not None:
            self._viewer.close()
            for thread in self._threads:
                thread.join(_ENDING)
        self._viewer, self._name = None, None

    def _open(self, name: SceneName) -> None:
        scene = sample_episode(self._cell, name.task, name.seed, name.variation).scene
        self._model = copy.copy(build_scene(self._cell, scene, CAMERA).model)
        self._data = mujoco.MjData(self._model)
        self._face = HotPlateFace(self._model) if scene.hot_plate else None
        before = set(threading.enumerate())
        self._viewer = mujoco.viewer.launch_passive(
            self._model, self._data, show_left_ui=False, show_right_ui=False
        )
        self._threads = [t for t in threading.enumerate() if t not in before]
        aim_at_cell(self._viewer.cam)
        self._name = name
