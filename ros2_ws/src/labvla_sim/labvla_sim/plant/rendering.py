"""Camera pictures of a snapshot, off-screen.

Create a renderer in the thread that uses it: graphics contexts belong to one thread. It keeps its
own model and data, so the plant never waits for it.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from labvla_sim.plant.appearance import HotPlateFace
from labvla_sim.quality import CAMERA, Quality
from labvla_sim.scene.build import Scene, build_scene

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from labvla_policy.runtime.cell import Cell
    from labvla_sim.plant.sim_cell import Snapshot

Image = NDArray[np.uint8]
Size = tuple[int, int]  # width, height


class CellRenderer:
    """Draws a cell's cameras, or any free view."""

    def __init__(
        self,
        cell: Cell,
        *,
        cameras: Sequence[str] | None = None,
        sizes: Mapping[str, Size] | Size | None = None,
        quality: Quality = CAMERA,
    ) -> None:
        """Prepare; the graphics context is made with the first picture.

        Args:
            cell: names and sizes of the cameras.
            cameras: which of them to draw; all if not given.
            sizes: (width, height) by camera or for all; the cell's own if not given.
            quality: CAMERA for streams, BEAUTY for pictures.
        """
        known = {camera.name: (camera.width, camera.height) for camera in cell.cameras}
        chosen = tuple(known) if cameras is None else tuple(cameras)
        unknown = [name for name in chosen if name not in known]
        if unknown:
            raise ValueError(f"expected cameras of {sorted(known)}, got {unknown}")
        if isinstance(sizes, tuple):
            sizes = dict.fromkeys(chosen, sizes)
        self._cell, self._quality = cell, quality
        self._sizes = {name: (sizes or {}).get(name, known[name]) for name in chosen}
        self._scene: Scene | None = None
        self._renderers: dict[Size, Any] = {}

    def render(self, snapshot: Snapshot) -> dict[str, Image]:
        """Return a fresh height x width x 3 picture per camera."""
        self._show(snapshot)
        return {name: self._draw(name, size) for name, size in self._sizes.items()}

    def render_view(self, snapshot: Snapshot, view: Any, size: Size) -> Image:
        """Return a picture from a free `mujoco.MjvCamera`."""
        self._show(snapshot)
        return self._draw(view, size)

    def close(self) -> None:
        """Free the graphics contexts."""
        for renderer in self._renderers.values():
            renderer.close()
        self._renderers.clear()
        self._scene = None

    def _show(self, snapshot: Snapshot) -> None:
        if self._scene is not snapshot.scene:
            self.close()
            self._scene = snapshot.scene
            self._model = self._own_model(snapshot.scene)
            self._data = mujoco.MjData(self._model)
            self._face = HotPlateFace(self._model) if snapshot.hot_plate else None
        self._data.qpos[:] = snapshot.positions
        self._model.body_pos[:] = snapshot.places
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_camlight(self._model, self._data)
        if self._face is not None and snapshot.hot_plate is not None:
            self._face.show(snapshot.hot_plate)

    def _own_model(self, scene: Scene) -> Any:
        """Return a model whose colours may be changed without touching the plant's."""
        same = self._quality is scene.quality
        model = (
            copy.copy(scene.model)
            if same
            else build_scene(self._cell, scene.description, self._quality).model
        )
        # Every picture is drawn from scratch: nothing keeps its place by sleeping.
        model.opt.enableflags &= ~int(mujoco.mjtEnableBit.mjENBL_SLEEP)
        return model

    def _draw(self, view: Any, size: Size) -> Image:
        renderer = self._renderers.get(size)
        if renderer is None:
            renderer = self._renderers[size] = self._new_renderer(size)
        renderer.update_scene(self._data, camera=view)
        picture: Image = renderer.render()
        return picture

    def _new_renderer(self, size: Size) -> Any:
        renderer = mujoco.Renderer(self._model, height=size[1], width=size[0])
        flags = renderer.scene.flags
        flags[mujoco.mjtRndFlag.mjRND_SHADOW] = self._quality.shadow_size > 0
        flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = self._quality.reflections
        return renderer
