"""Plays episodes in this process, in simulated time: the fast way."""

from __future__ import annotations

import time
from pathlib import Path

from labvla_policy.engines.blind import Blinded
from labvla_policy.runtime.cell import Cell
from labvla_policy.runtime.scheduling.scheduler import SchedulerSettings
from labvla_policy.runtime.types import NANOSECONDS, Prediction
from labvla_sim.closed_loop import (
    Constant,
    EpisodeResult,
    EpisodeRunner,
    MotionRecorder,
    RunnerSettings,
    truth_of,
)
from labvla_sim.evaluation.contestant import Contestant, EvaluatedEngine
from labvla_sim.evaluation.film import Film
from labvla_sim.evaluation.job import Job, Setting
from labvla_sim.evaluation.record import Played, Record, record_of, success_time
from labvla_sim.evaluation.watch import KEPT, RATE, Watch
from labvla_sim.plant import CellRenderer, SimCell
from labvla_sim.plant.controlled import PERIOD
from labvla_sim.tasks import Trial, sample_episode
from labvla_sim.truth_text import SceneTruth

_LOOK_EVERY = round(1.0 / (RATE * PERIOD))  # ticks
_NEVER = -(10**18)  # ns


class Player:
    """Plays one episode after the other with one engine, which it loads once."""

    def __init__(self, cell: Cell, contestant: Contestant) -> None:
        self._cell, self._contestant = cell, contestant
        self._engine: EvaluatedEngine | None = None
        self._steps: int | None = None
        self._trial: Trial | None = None

    def load(self, steps: int | None) -> str:
        """Load the engine as a setting wants it, unless it is; return its name."""
        if self._engine is None or self._steps != steps:
            self.close()
            self._engine = self._contestant.make(self._cell, steps, self._truth)
            self._steps = steps
        return self._engine.policy

    def play(self, job: Job, film: Path | None = None) -> Record:
        """Play an episode; into a film where one is wanted."""
        begin = time.perf_counter()
        policy = self.load(job.setting.steps)
        assert self._engine is not None
        episode = sample_episode(self._cell, job.task, job.seed, job.condition.variation)
        # A plant of its own: its clock starts at zero, so that nothing depends on earlier episodes.
        trial = self._trial = Trial(SimCell(self._cell))
        watch, plans = Watch(episode), _Plans()
        camera = None if film is None else Film(self._cell, film)
        renderer = None if self._contestant.privileged else _renderer(self._cell)

        def on_tick(trial: Trial) -> None:
            if trial.sim.ticks % _LOOK_EVERY == 0:
                watch.look(trial.sim.truth())
            if camera is not None:
                camera.look(trial)

        engine = Blinded(self._engine, sees=job.condition.sees, hears=job.condition.hears)
        runner = EpisodeRunner(trial, engine, _settings(job.setting), renderer)
        try:
            result = runner.run(episode, recorder=plans, on_tick=on_tick, enough=_Enough())
            if camera is not None:
                camera.finish()
        finally:
            if renderer is not None:
                renderer.close()
            if camera is not None:
                camera.close()
        record = record_of(job, _played(result, trial, watch, plans))
        return {**record, "policy": policy, "wall": round(time.perf_counter() - begin, 3)}

    def close(self) -> None:
        """Give the engine back."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def _truth(self) -> SceneTruth:
        assert self._trial is not None
        return truth_of(self._trial)


def _played(result: EpisodeResult, trial: Trial, watch: Watch, plans: _Plans) -> Played:
    now = trial.sim.stamp
    return Played(
        reason=result.reason,
        events=result.events,
        end=trial.time,
        seen=watch.seen(success_time(result.events)),
        chunks=result.chunks,
        silence=min((now - plans.last) / NANOSECONDS, trial.time),
        refused=result.refused,
        stops=result.stops,
    )


def _settings(setting: Setting) -> RunnerSettings:
    return RunnerSettings(
        SchedulerSettings(mode=setting.scheduling, execute_rows=setting.execute),
        latency=Constant(setting.delay),
    )


def _renderer(cell: Cell) -> CellRenderer:
    return CellRenderer(cell, cameras=[camera.name for camera in cell.policy_cameras])


class _Enough:
    """Success, and then a little: it has to last."""

    def __init__(self) -> None:
        self._since: float | None = None

    def __call__(self, trial: Trial) -> bool:
        if self._since is None and trial.verdict.success:
            self._since = trial.time
        return self._since is not None and trial.time >= self._since + KEPT


class _Plans(MotionRecorder):
    """When the last plan came; the motion itself is not kept."""

    last = _NEVER

    def cycle(self, *_: object) -> None:
        """Take no note."""

    def handover(self, t: int, plan: Prediction) -> None:
        """Note the time."""
        self.last = t
