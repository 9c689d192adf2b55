"""Things pushed across the bench by somebody out of sight: a disturbance, not an action.

A slide is a straight minimum-jerk motion of a thing's place; height, orientation and the motion of
its parts are left to the physics.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import mujoco
import numpy as np

from labvla_sim.scene.build import TIMESTEP

if TYPE_CHECKING:
    from labvla_policy.runtime.types import Array

_SLEEP = int(mujoco.mjtEnableBit.mjENBL_SLEEP)
_FASTEST = 0.6  # m/s; a thing that is held back is not shot off afterwards


class _Mover(Protocol):
    def place(self, data: Any) -> Array: ...

    def move(self, data: Any, towards: Array) -> None: ...

    def end(self, data: Any) -> None: ...


class _Loose:
    """Something that stands on the bench: it is given a speed, so that friction and touch act."""

    def __init__(self, model: Any, joint: int) -> None:
        start, speed = int(model.jnt_qposadr[joint]), int(model.jnt_dofadr[joint])
        self._place, self._speed = slice(start, start + 2), slice(speed, speed + 2)

    def place(self, data: Any) -> Array:
        found: Array = data.qpos[self._place].copy()
        return found

    def move(self, data: Any, towards: Array) -> None:
        speed = (towards - data.qpos[self._place]) / TIMESTEP
        excess = np.linalg.norm(speed) / _FASTEST
        data.qvel[self._speed] = speed / max(excess, 1.0)

    def end(self, data: Any) -> None:
        data.qvel[self._speed] = 0.0


class _Fixed:
    """Something fixed to the bench: the bench's own idea of where it is changes."""

    def __init__(self, model: Any, body: int) -> None:
        self._model, self._body = model, body

    def place(self, data: Any) -> Array:
        found: Array = self._model.body_pos[self._body, :2].copy()
        return found

    def move(self, data: Any, towards: Array) -> None:
        # While things may sleep, MuJoCo takes what is fixed to the world for immovable.
        self._model.opt.enableflags &= ~_SLEEP
        self._model.body_pos[self._body, :2] = towards

    def end(self, data: Any) -> None:
        self._model.opt.enableflags |= _SLEEP


class Slide:
    """One thing on its way: call `step` before every tick until `over`."""

    def __init__(self, model: Any, data: Any, body: str, offset: Array, ticks: int) -> None:
        self._mover = _mover(model, body)
        self._start = self._mover.place(data)
        self._offset, self._ticks = np.asarray(offset, dtype=np.float64), ticks
        self._done = 0
        self.over = False

    def step(self, data: Any) -> None:
        """Move by one tick."""
        if self._done == self._ticks:
            self._mover.end(data)
            self.over = True
            return
        self._done += 1
        t = self._done / self._ticks
        share = t**3 * (10.0 - 15.0 * t + 6.0 * t**2)
        self._mover.move(data, self._start + share * self._offset)


def _mover(model: Any, name: str) -> _Mover:
    body = int(model.body(name).id)
    joint = int(model.body_jntadr[body])
    if model.body_parentid[body] == 0 and body != 0:
        if joint < 0:
            return _Fixed(model, body)
        if model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_FREE:
            return _Loose(model, joint)
    raise ValueError(f"expected something that stands on the bench by itself, got {name!r}")
