"""The controller core in front of the plant: chunks in, torques out, one tick at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from labvla_control import Chunk, Controller, State, Verdict, config_from_dict
from labvla_policy.runtime.controller_settings import effort_settings

if TYPE_CHECKING:
    from labvla_sim.plant.sim_cell import RobotState
    from labvla_sim.tasks.trial import Trial

PERIOD = 1e-3  # s, one tick of the plant
STATE_RATE = 50.0  # Hz, at which controller and grippers tell their state


class ControlledCell:
    """A trial whose arms follow chunks. One thread ticks it; `submit` may come from another."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self.controller = Controller(config_from_dict(effort_settings(trial.sim.cell)))
        self.restart()

    def restart(self) -> None:
        """Take the arms over from where they are, at rest."""
        state = self.trial.sim.state()
        self.controller.activate(state.positions)
        self._widths = state.widths.copy()

    def submit(self, chunk: Chunk, now: int) -> Verdict:
        """Hand a chunk to the controller; `now` is the plant's time (ns)."""
        return self.controller.submit(chunk, now)

    def tick(self) -> tuple[RobotState, State]:
        """Run one control cycle: measure, command, advance."""
        measured = self.trial.sim.state()
        control = self.controller.update(measured.positions, measured.velocities)
        self.trial.step(control.command, self.widths(control))
        return measured, control

    def widths(self, control: State) -> Any:
        """Return the gripper targets in force: the last ones set stay, through every stop."""
        known = np.isfinite(control.gripper)
        self._widths = np.where(known, control.gripper, self._widths)
        return self._widths
