"""Steps per second: of the engine alone, of the cell, and with the controller."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.sim.naive import NaiveLoop
from benchmarks.sim.timing import Work, least
from labvla_policy.runtime.cell import Cell
from labvla_sim.plant import SimCell
from labvla_sim.plant.controlled import ControlledCell
from labvla_sim.plant.servo import JointServo
from labvla_sim.tasks import Trial

Row = dict[str, Any]

STEP, PLANT, WATCHED, CORE = (
    "mj_step alone",
    "plant: readings, torque limits, noise",
    "plant, controller and judge",
    "of that the controller core, in hold",
)


def measure(cell: Cell, task: str, ticks: int, rounds: int) -> list[Row]:
    """Return a row per kind of step."""
    trial = Trial(SimCell(cell))
    episode = trial.reset(task, 0)
    still, widths = np.zeros(len(cell.joints)), np.array(episode.widths)
    rest = trial.sim.state().positions
    servo = JointServo.stiff(cell)

    def plant(times: int) -> None:
        for _ in range(times):
            state = plain.state()
            plain.step(servo.torques(rest, still, state.positions, state.velocities), widths)

    plain = SimCell(cell)
    plain.reset(episode.scene, np.array(episode.joints), widths)
    controlled = ControlledCell(trial)
    alone = ControlledCell(trial)
    measured = trial.sim.state()

    def watched(times: int) -> None:
        for _ in range(times):
            controlled.tick()

    def core(times: int) -> None:
        for _ in range(times):
            alone.controller.update(measured.positions, measured.velocities)

    naive = NaiveLoop(trial.sim.snapshot(), cell, None, default_look=False)
    works: dict[str, Work] = {STEP: naive.step, PLANT: plant, WATCHED: watched, CORE: core}
    seconds = least(works, ticks, rounds)
    return [
        {
            "part": "physics",
            "what": what,
            "scene": task,
            "microseconds": 1e6 * taken,
            "per_second": 1.0 / taken,
            "of_mj_step": seconds[STEP] / taken,
        }
        for what, taken in seconds.items()
    ]
