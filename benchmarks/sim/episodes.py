"""Whole episodes in lock-step, as multiples of real time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from benchmarks.sim.naive import NaiveLoop
from labvla_policy.runtime.cell import Cell
from labvla_sim.closed_loop import EpisodeRunner, truth_of
from labvla_sim.experts.engine import TruthEngine
from labvla_sim.plant import CellRenderer, SimCell
from labvla_sim.plant.controlled import PERIOD
from labvla_sim.tasks import Trial, sample_episode

Row = dict[str, Any]

BLIND, ASKED, EVERY = (
    "episodes, no pictures",
    "episodes, pictures for every question",
    "episodes, every picture of every camera",
)
STEPS, SAME_LOOK, DEFAULT_LOOK = (
    "naive loop, no pictures",
    "naive loop, every picture, the cell's look",
    "naive loop, every picture, MuJoCo's look",
)


def measure(cell: Cell, tasks: list[str], seeds: int, tell: Callable[[str], None]) -> list[Row]:
    """Return a row per task and kind of episode, and beside it the naive loop for as long."""
    rows = []
    for task in tasks:
        own: list[Row] = []
        for what in (BLIND, ASKED, EVERY):
            tell(f"{task}: {what}")
            own.append(_episodes(cell, task, what, seeds))
        for what in (STEPS, SAME_LOOK, DEFAULT_LOOK):
            tell(f"{task}: {what}")
            own.append(_naive(cell, task, what, own[0]["simulated"]))
        rows += own
    return rows


def _episodes(cell: Cell, task: str, what: str, seeds: int) -> Row:
    trial = Trial(SimCell(cell))
    engine = TruthEngine(cell, lambda: truth_of(trial))
    renderer = None if what == BLIND else CellRenderer(cell)
    runner = EpisodeRunner(trial, engine, renderer=renderer if what == ASKED else None)
    every = round(1.0 / (cell.cameras[0].rate * PERIOD))

    def draw(running: Trial) -> None:
        if running.sim.ticks % every == 0 and renderer is not None:
            renderer.render(running.sim.snapshot())

    episodes = [sample_episode(cell, task, seed) for seed in range(seeds)]
    begin, simulated, success = time.perf_counter(), 0.0, 0
    for episode in episodes:
        result = runner.run(episode, on_tick=draw if what == EVERY else None)
        simulated += trial.time
        success += result.success
    wall = time.perf_counter() - begin
    if renderer is not None:
        renderer.close()
    return {**_row(task, what, simulated, wall), "episodes": seeds, "success": success}


def _naive(cell: Cell, task: str, what: str, simulated: float) -> Row:
    trial = Trial(SimCell(cell))
    trial.reset(task, 0)
    size = None if what == STEPS else (cell.cameras[0].width, cell.cameras[0].height)
    loop = NaiveLoop(trial.sim.snapshot(), cell, size, default_look=what == DEFAULT_LOOK)
    ticks = round(simulated / PERIOD)
    begin = time.perf_counter()
    if size is None:
        loop.step(ticks)
    else:
        loop.run(ticks)
    wall = time.perf_counter() - begin
    loop.close()
    return _row(task, what, simulated, wall)


def _row(task: str, what: str, simulated: float, wall: float) -> Row:
    return {
        "part": "episodes",
        "what": what,
        "task": task,
        "simulated": simulated,
        "seconds": wall,
        "times_real_time": simulated / wall,
    }
