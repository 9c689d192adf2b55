"""The controller core in front of the plant: chunks in, torques out, one tick at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import numpy as np

from labvla_control import Chunk, Controller, State, Verdict, config_from_dict
from labvla_policy.runtime.controller_settings import effort_settings
from labvla_sim.plant.invariants import InvariantMonitor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from labvla_policy.runtime.types import Array
    from labvla_sim.plant.sim_cell import RobotState, SimCell

PERIOD = 1e-3  # s, one tick of the plant
STATE_RATE = 50.0  # Hz, at which controller and grippers tell their state


class Steppable(Protocol):
    """A plant, and whatever watches it: a trial with its judge, or nothing."""

    sim: SimCell

    def step(self, torques: Sequence[float] | Array, widths: Sequence[float] | Array) -> None:
        """Advance by one tick; see `SimCell.step`."""
        ...


Watched = TypeVar("Watched", bound=Steppable)


class ControlledCell(Generic[Watched]):
    """A plant whose arms follow chunks, under the eyes of a monitor.

    One thread ticks it; `submit` and the requests may come from another.
    """

    def __init__(self, trial: Watched) -> None:
        self.trial = trial
        self.controller = Controller(config_from_dict(effort_settings(trial.sim.cell)))
        self.monitor = InvariantMonitor(trial.sim.cell)
        self.restart()

    def restart(self) -> None:
        """Take the arms over from where they are, at rest."""
        state = self.trial.sim.state()
        self.monitor.interrupt(self.trial.sim.liftable)
        self.controller.activate(state.positions)
        self._widths = state.widths.copy()

    def submit(self, chunk: Chunk, now: int) -> Verdict:
        """Hand a chunk to the controller; `now` is the plant's time (ns)."""
        verdict = self.controller.submit(chunk, now)
        if verdict.accepted:
            self.monitor.accepted(self.trial.sim.stamp)
        return verdict

    def stop(self) -> None:
        """Ask for a stop; it is latched."""
        self.monitor.halted(self.trial.sim.stamp)
        self.controller.stop()

    def reset_stop(self) -> None:
        """Ask for the end of a stop."""
        self.controller.reset_stop()
        self.monitor.released()

    def pause(self) -> None:
        """Ask for a pause."""
        self.monitor.halted(self.trial.sim.stamp)
        self.controller.pause()

    def resume(self) -> None:
        """Ask for the end of a pause."""
        self.controller.resume()
        self.monitor.released()

    def tick(self) -> tuple[RobotState, State]:
        """Run one control cycle: measure, command, advance."""
        sim = self.trial.sim
        measured = sim.state()
        control = self.controller.update(measured.positions, measured.velocities)
        widths = self.widths(control)
        self.trial.step(control.command, widths)
        if self.monitor.watching:
            self.monitor.observe(measured, control, widths, sim.touches())
        return measured, control

    def widths(self, control: State) -> Any:
        """Return the gripper targets in force: the last ones set stay, through every stop."""
        known = np.isfinite(control.gripper)
        self._widths = np.where(known, control.gripper, self._widths)
        return self._widths
