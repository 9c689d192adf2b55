"""The whole picture of a cell: fed with what the stack says, asked for marks at a bounded rate."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from labvla_policy.runtime.cell import Cell
from labvla_policy.runtime.monitor import paths, standing, surroundings
from labvla_policy.runtime.monitor.marks import Mark
from labvla_policy.runtime.monitor.skeleton import frames_of, limbs_of
from labvla_policy.runtime.monitor.standing import Incident, PolicyState, RobotState, Standing
from labvla_policy.runtime.reference import STALE, Mode, Reference
from labvla_policy.runtime.types import NANOSECONDS, Array, Prediction

# A plan that the controller does not follow by then is not going to be followed.
TAKEN_UP = NANOSECONDS // 5


@dataclass(frozen=True)
class PictureSettings:
    """What is drawn."""

    trail: float = 5.0  # s of the executed path
    bodies: bool = False  # the arms as the gate sees them, where nobody shows the robot itself


class Picture:
    """Keeps what was said last."""

    def __init__(self, cell: Cell, settings: PictureSettings = PictureSettings()) -> None:
        self._cell, self._settings = cell, settings
        self._limbs = limbs_of(cell)
        self._trail = paths.Trail(self._limbs, settings.trail)
        self._boxes = surroundings.boxes(cell)
        self._plan: Prediction | None = None
        self._sent = 0
        self._state: Reference | None = None
        self._lost: frozenset[str] = frozenset()
        self._standing = Standing()

    def plan(self, plan: Prediction, sent: int) -> None:
        """Note what was sent to the controller, and when (ns)."""
        self._plan, self._sent = (plan, sent) if paths.drawable(plan, self._cell) else (None, sent)

    def state(self, state: Reference) -> None:
        """Note what the controller does."""
        self._state = state
        q = _where(state)
        if q is not None:
            self._trail.add(state.stamp, q)

    def policy(self, told: PolicyState, lost_cameras: Collection[str]) -> None:
        """Note how the policy is doing."""
        self._standing = replace(self._standing, policy=told)
        self._lost = frozenset(lost_cameras)

    def robot(self, told: RobotState) -> None:
        """Note how the robot is doing."""
        self._standing = replace(self._standing, robot=told)

    def incident(self, incident: Incident) -> None:
        """Note what was refused or stopped."""
        self._standing = replace(self._standing, incident=incident)

    def marks(self, t: int) -> list[Mark]:
        """Return everything that is to be seen at a moment (ns)."""
        state = self._state if self._state and abs(t - self._state.stamp) <= STALE else None
        q = _where(state) if state else None
        self._trail.forget(t)
        words = replace(self._standing, controller=state.mode if state else None)
        return [
            *self._boxes,
            *surroundings.cameras(self._cell, frames_of(self._cell, self._limbs, q), self._lost),
            *self._bodies(q),
            *self._ghost(t, state),
            *self._trail.marks(),
            standing.text(self._cell, words, t),
        ]

    def _bodies(self, q: Array | None) -> list[Mark]:
        if q is None or not self._settings.bodies:
            return []
        return [
            mark
            for limb in self._limbs
            for mark in paths.bodies(f"{limb.arm.name}/body", limb, q, paths.BODY)
        ]

    def _ghost(self, t: int, state: Reference | None) -> list[Mark]:
        if self._plan is None:
            return []
        followed = state is None or state.mode is Mode.TRACKING
        if t - self._sent > TAKEN_UP and not followed:
            self._plan = None  # refused, finished or stopped: it is nobody's intention any more
            return []
        return paths.ghost(paths.ahead(self._plan, self._cell, t), self._limbs)


def _where(state: Reference) -> Array | None:
    """Return the measured joints, or where there are none, the commanded ones."""
    q = state.positions if state.measured is None else state.measured
    return q if bool(np.all(np.isfinite(q))) else None
