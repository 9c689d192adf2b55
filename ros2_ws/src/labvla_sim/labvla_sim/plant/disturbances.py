"""Forces on bodies that come from no model: a push, and something in the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import mujoco
import numpy as np

from labvla_sim.scene.build import TIMESTEP

if TYPE_CHECKING:
    from labvla_policy.runtime.types import Array

_GAP = 0.01  # m between a body and what it will run into
# A padded fixture or a tensed forearm. Harder things are in the scene itself.
_STIFFNESS = 10e3  # N/m
_DAMPING = 100.0  # Ns/m
# At its end it goes out of the way as a hand does, and does not vanish.
_RETREAT = 0.5  # m/s
_RETREATING = 300  # ticks


class Disturbance(Protocol):
    """Something that acts on a body for some ticks."""

    ticks: int

    def apply(self, data: Any) -> None:
        """Add its force to this tick."""
        ...


@dataclass
class Push:
    """A constant force and torque in the cell's frame."""

    body: int
    wrench: Array
    ticks: int

    def apply(self, data: Any) -> None:
        """Add its force to this tick."""
        data.xfrc_applied[self.body] += self.wrench
        self.ticks -= 1


@dataclass
class Obstacle:
    """A soft wall across the way of a body. It only pushes back, and never pulls."""

    body: int
    place: Array  # a point of the wall
    normal: Array  # against the motion
    ticks: int
    depth: float = -_GAP  # m that the body is in it, at the last tick
    force: float = 0.0  # N, at the last tick

    @staticmethod
    def before(model: Any, data: Any, body: int, ticks: int) -> Obstacle:
        """Return one that the body is about to run into; it must be moving."""
        velocity = np.zeros(6)  # angular, linear
        mujoco.mj_objectVelocity(model, data, mujoco.mjtObj.mjOBJ_BODY, body, velocity, 0)
        speed = float(np.linalg.norm(velocity[3:]))
        if speed < 1e-3:
            raise ValueError(
                f"{model.body(body).name}: expected a moving body, got {speed:.4f} m/s"
            )
        normal = -velocity[3:] / speed
        return Obstacle(body, data.xpos[body] - _GAP * normal, normal, ticks)

    def apply(self, data: Any) -> None:
        """Add its force to this tick."""
        self.ticks -= 1
        if self.ticks < _RETREATING:
            self.place = self.place - _RETREAT * TIMESTEP * self.normal
        depth = float((self.place - data.xpos[self.body]) @ self.normal)
        yielding = _STIFFNESS * depth + _DAMPING * (depth - self.depth) / TIMESTEP
        self.force = max(0.0, yielding) if depth > 0.0 else 0.0
        self.depth = depth
        data.xfrc_applied[self.body, :3] += self.force * self.normal
