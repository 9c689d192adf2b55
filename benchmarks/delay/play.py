"""Plays the grid: one row of figures per case."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from benchmarks.delay.continuing import Continuing
from benchmarks.delay.grid import Case, Grid
from benchmarks.delay.seams import Seam, seams
from labvla_policy.runtime.cell import Cell
from labvla_policy.runtime.scheduling.scheduler import SchedulerSettings
from labvla_sim.closed_loop import (
    Constant,
    EpisodeResult,
    EpisodeRunner,
    MotionRecorder,
    RunnerSettings,
    truth_of,
)
from labvla_sim.closed_loop.policy import Answers
from labvla_sim.closed_loop.proportions import wilson
from labvla_sim.experts.engine import TruthEngine
from labvla_sim.plant import SimCell
from labvla_sim.tasks import Trial, sample_episode
from labvla_sim.tasks.disturbance import sample_target_move

Row = dict[str, Any]


def play(grid: Grid, cell: Cell, tell: Callable[[str], None]) -> list[Row]:
    """Return a row per case; `tell` hears of the progress."""
    bench = _Bench(cell)
    rows, done = [], 0
    for case in grid.cases:
        results, found = [], []
        for seed in grid.seeds:
            result, its_seams = bench.episode(case, seed)
            results.append(result)
            found.extend(its_seams)
            done += 1
            tell(f"episode {done} of {grid.episodes}")
        rows.append({**_describe(case), **_outcome(results), **condense(found)})
    return rows


class _Bench:
    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._trial = Trial(SimCell(cell))

    def episode(self, case: Case, seed: int) -> tuple[EpisodeResult, list[Seam]]:
        settings = RunnerSettings(
            scheduler=SchedulerSettings(
                mode=case.scheduling.mode, execute_rows=case.scheduling.execute_rows
            ),
            latency=Constant(case.delay),
        )
        engine: Answers = TruthEngine(self._cell, lambda: truth_of(self._trial))
        if case.scheduling.answers == "continuing":
            engine = Continuing(engine)
        episode = sample_episode(self._cell, case.task, seed)
        recorder = MotionRecorder()
        result = EpisodeRunner(self._trial, engine, settings).run(
            episode, move=sample_target_move(self._cell, episode), recorder=recorder
        )
        return result, seams(recorder)


def _describe(case: Case) -> Row:
    return {"task": case.task, "mode": case.scheduling.name, "delay": case.delay}


def _outcome(results: list[EpisodeResult]) -> Row:
    successes = [result for result in results if result.success]
    low, high = wilson(len(successes), len(results))
    refused: Counter[str] = Counter()
    stops: Counter[str] = Counter()
    for result in results:
        refused.update(result.refused)
        stops.update(result.stops)
    return {
        "n": len(results),
        "success": len(successes),
        "low": low,
        "high": high,
        "seconds": float(np.median([r.seconds for r in successes])) if successes else np.nan,
        "questions": sum(result.questions for result in results) / len(results),
        "chunks": sum(result.chunks for result in results) / len(results),
        "stops": {reason: count / len(results) for reason, count in sorted(stops.items())},
        "refused": {reason: count / len(results) for reason, count in sorted(refused.items())},
        "failures": sorted({r.reason for r in results if not r.success}),
    }


def condense(found: Iterable[Seam]) -> Row:
    """Return medians over all hand-overs, and for what hurts the 95th percentile and the worst."""
    collected = list(found)

    def quantile(name: str, share: float) -> float:
        values = [getattr(seam, name) for seam in collected]
        return float(np.quantile(values, share)) if values else np.nan

    return {
        "seams": len(collected),
        "boundary_jerk_median": quantile("jerk", 0.5),
        "boundary_jerk_max": quantile("jerk", 1.0),
        "boundary_jerk_10ms_median": quantile("jerk_10ms", 0.5),
        "boundary_jerk_10ms_max": quantile("jerk_10ms", 1.0),
        "boundary_velocity_step_median": quantile("velocity_step", 0.5),
        "boundary_velocity_step_max": quantile("velocity_step", 1.0),
        "plan_gap_median": quantile("gap", 0.5),
        "plan_gap_p95": quantile("gap", 0.95),
        "plan_velocity_gap_median": quantile("velocity_gap", 0.5),
        "plan_velocity_gap_p95": quantile("velocity_gap", 0.95),
    }
