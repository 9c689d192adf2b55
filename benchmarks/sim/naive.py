"""The loop that one writes first: mj_step, and a `mujoco.Renderer` for every camera and frame.

No controller, no noise, no torque limits, no judge, no lock. The arm is pushed to and fro a little:
the cell's arm is not at rest either.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import mujoco

from labvla_policy.runtime.cell import Cell
from labvla_sim.plant import Snapshot
from labvla_sim.plant.addresses import Addresses
from labvla_sim.scene.build import TIMESTEP

# What MuJoCo draws with where nobody says anything else.
_SLICES, _STACKS, _QUADS = 28, 16, 4
_SAMPLES, _SHADOW = 4, 4096

_PUSH, _PUSHES = 1.0, 6.0  # Nm, rad/s


class NaiveLoop:
    """One scene of a cell, stepped and drawn."""

    def __init__(
        self, snapshot: Snapshot, cell: Cell, size: tuple[int, int] | None, default_look: bool
    ) -> None:
        """Prepare.

        Args:
            snapshot: where it begins, and the model that the cell steps, too.
            cell: names and rate of the cameras.
            size: of the pictures; None: nothing is drawn.
            default_look: draw as MuJoCo does by default; otherwise as finely as the cell does.
        """
        self._model = copy.copy(snapshot.scene.model)
        if default_look:
            _set_defaults(self._model)
        self._data = mujoco.MjData(self._model)
        self._data.qpos[:] = snapshot.positions
        self._motors = Addresses.of(cell, snapshot.scene).motors
        self._cameras = [camera.name for camera in cell.cameras]
        self._every = round(1.0 / (cell.cameras[0].rate * TIMESTEP))
        self._renderer: Any = None
        if size is not None:
            self._renderer = mujoco.Renderer(self._model, width=size[0], height=size[1])

    @property
    def positions(self) -> Any:
        """A copy of MuJoCo's qpos."""
        return self._data.qpos.copy()

    def step(self, times: int) -> None:
        """Step."""
        for _ in range(times):
            self._data.ctrl[self._motors] = _PUSH * math.sin(_PUSHES * self._data.time)
            mujoco.mj_step(self._model, self._data)

    def draw(self, camera: str) -> Any:
        """Draw one camera."""
        self._renderer.update_scene(self._data, camera=camera)
        return self._renderer.render()

    def run(self, ticks: int) -> None:
        """Step, and draw every camera at its rate, one after the other."""
        for tick in range(ticks):
            self.step(1)
            if tick % self._every == 0:
                for camera in self._cameras:
                    self.draw(camera)

    def close(self) -> None:
        """Free the graphics context."""
        if self._renderer is not None:
            self._renderer.close()


def _set_defaults(model: Any) -> None:
    quality = model.vis.quality
    quality.numslices, quality.numstacks, quality.numquads = _SLICES, _STACKS, _QUADS
    quality.offsamples, quality.shadowsize = _SAMPLES, _SHADOW
