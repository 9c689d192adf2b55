"""Writes down how an episode moved: the controller's reference, and the plans it was given."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from labvla_control import State
    from labvla_policy.runtime.types import Array, Prediction
    from labvla_sim.plant.sim_cell import RobotState


@dataclass(frozen=True, eq=False)
class Handover:
    """A plan that the controller took over."""

    t: int  # ns, on arrival
    plan: Prediction


@dataclass
class MotionRecorder:
    """Keeps every control cycle of one episode in memory: 0.4 MB a second for seven joints."""

    stamps: list[int] = field(default_factory=list)
    handovers: list[Handover] = field(default_factory=list)
    _positions: list[Array] = field(default_factory=list)
    _velocities: list[Array] = field(default_factory=list)
    _accelerations: list[Array] = field(default_factory=list)
    _openings: list[Array] = field(default_factory=list)

    def cycle(self, measured: RobotState, control: State) -> None:
        """Take in one control cycle."""
        self.stamps.append(measured.stamp)
        self._positions.append(np.array(control.position))
        self._velocities.append(np.array(control.velocity))
        self._accelerations.append(np.array(control.acceleration))
        told = np.array(control.gripper)
        self._openings.append(np.where(np.isfinite(told), told, measured.widths))

    def handover(self, t: int, plan: Prediction) -> None:
        """Take in a plan that was accepted."""
        self.handovers.append(Handover(t, plan))

    @property
    def positions(self) -> Array:
        """Reference positions, cycles x joints."""
        return np.array(self._positions)

    @property
    def velocities(self) -> Array:
        """Reference velocities, cycles x joints."""
        return np.array(self._velocities)

    @property
    def accelerations(self) -> Array:
        """Reference accelerations, cycles x joints."""
        return np.array(self._accelerations)

    @property
    def openings(self) -> Array:
        """What the grippers were told (m), cycles x arms; before that, where they were."""
        return np.array(self._openings)
