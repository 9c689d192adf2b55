"""Runs episodes: puts up the scene, gives the instruction, lets everything work, asks the judge."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from labvla_control import Chunk
from labvla_policy.runtime.arbiter import Arbiter
from labvla_policy.runtime.cycle import Chunk as CheckedPlan
from labvla_policy.runtime.cycle import Cycle
from labvla_policy.runtime.gate.gate import Gate
from labvla_policy.runtime.observation.assembler import Assembler, AssemblySettings
from labvla_policy.runtime.reference import Reference, ReferenceHistory
from labvla_policy.runtime.scheduling.scheduler import Scheduler, SchedulerSettings
from labvla_policy.runtime.types import NANOSECONDS
from labvla_sim.closed_loop.latency import Constant, Latency
from labvla_sim.closed_loop.policy import Answers, PolicyInTime, Tally
from labvla_sim.closed_loop.recording import MotionRecorder
from labvla_sim.closed_loop.senses import Senses
from labvla_sim.plant.controlled import PERIOD, STATE_RATE, ControlledCell
from labvla_sim.truth_text import SceneTruth

if TYPE_CHECKING:
    from labvla_control import State
    from labvla_policy.runtime.cell import Cell
    from labvla_policy.runtime.types import Observation
    from labvla_sim.plant.rendering import CellRenderer
    from labvla_sim.tasks.disturbance import TargetMove
    from labvla_sim.tasks.episode import Episode
    from labvla_sim.tasks.judging import Event
    from labvla_sim.tasks.trial import Trial

Onlooker = Callable[[Callable[[], "Observation"]], None]

SETTLING = 0.1  # s before the instruction: every sensor has spoken, and the arm stands
_STATE_EVERY = round(1.0 / (STATE_RATE * PERIOD))


@dataclass(frozen=True)
class RunnerSettings:
    """How the policy side works."""

    scheduler: SchedulerSettings = field(default_factory=lambda: SchedulerSettings(execute_rows=8))
    assembly: AssemblySettings = field(default_factory=AssemblySettings)
    latency: Latency = field(default_factory=Constant)


@dataclass(frozen=True)
class EpisodeResult:
    """How an episode ended, and what happened on the way."""

    episode: Episode
    success: bool
    reason: str  # what was missing; empty on success
    phase: str
    seconds: float  # simulated, from the instruction to success or the end of the time
    questions: int
    chunks: int  # that the controller took over
    refused: Mapping[str, int]  # by source and reason
    stops: Mapping[str, int]  # of the controller, by reason
    events: tuple[Event, ...]


def truth_of(trial: Trial) -> SceneTruth:
    """Return the true state of a trial, for engines that may see it."""
    episode = trial.episode
    return SceneTruth(
        trial.sim.stamp, episode.task, episode.seed, episode.variation, trial.sim.truth()
    )


def _has_succeeded(trial: Trial) -> bool:
    return trial.verdict.success


class EpisodeRunner:
    """Runs episodes of one trial with one engine.

    With a renderer the engine gets the pictures of the cell's cameras; without one their slots are
    masked, which is much faster and enough for engines that do not look at them.
    """

    def __init__(
        self,
        trial: Trial,
        engine: Answers,
        settings: RunnerSettings | None = None,
        renderer: CellRenderer | None = None,
    ) -> None:
        self.trial, self._engine = trial, engine
        self._cell = trial.sim.cell
        self._settings = settings or RunnerSettings()
        self._renderer = renderer
        self._gate = Gate(self._cell)

    def run(
        self,
        episode: Episode,
        *,
        move: TargetMove | None = None,
        recorder: MotionRecorder | None = None,
        limit: float = math.inf,
        on_tick: Callable[[Trial], None] | None = None,
        onlooker: Onlooker | None = None,
        enough: Callable[[Trial], bool] = _has_succeeded,
    ) -> EpisodeResult:
        """Run one episode until success or the end of its time.

        Args:
            episode: what is put up, and what is asked.
            move: somebody moves the target.
            recorder: takes the motion down.
            limit: simulated seconds, if shorter than the task's own limit.
            on_tick: called after each control cycle, for recording and disturbances.
            onlooker: called whenever pictures have come, and may have the observation made.
            enough: whether it may end, if not at success.
        """
        trial = self.trial
        trial.load(episode)
        one = _Run(
            trial, self._engine, self._settings, self._renderer, self._gate, recorder, onlooker
        )
        while not (enough(trial) or trial.out_of_time or trial.time >= limit):
            if move is not None and trial.sim.ticks == round(move.start / PERIOD):
                trial.sim.slide(move.body, move.offset, move.seconds)
            one.tick()
            if on_tick is not None:
                on_tick(trial)
        return one.result()


class _Run:
    """Everything that lives for one episode."""

    def __init__(
        self,
        trial: Trial,
        engine: Answers,
        settings: RunnerSettings,
        renderer: CellRenderer | None,
        gate: Gate,
        recorder: MotionRecorder | None,
        onlooker: Onlooker | None,
    ) -> None:
        cell, episode = trial.sim.cell, trial.episode
        self._trial, self._recorder, self._onlooker = trial, recorder, onlooker
        self._controlled = ControlledCell(trial)
        self._senses = Senses(cell, trial.sim, renderer)
        self._tally = Tally()
        self._references = ReferenceHistory()
        assembly = settings.assembly if renderer else _without_pictures(cell, settings.assembly)
        # Of its own: what the policy is asked about must not change what the onlooker sees.
        self._assembler = Assembler(cell, self._senses.states, self._senses.cameras, assembly)
        self._sequence = self._taken = 0
        self._cycle = Cycle(
            cell=cell,
            assembler=Assembler(cell, self._senses.states, self._senses.cameras, assembly),
            scheduler=Scheduler(settings.scheduler, cell.policy.row_rate, cell.policy.row_offset),
            gate=gate,
            arbiter=Arbiter(),
            reports=self._tally,
            references=self._references,
        )
        self._policy = PolicyInTime(
            self._cycle,
            engine,
            settings.latency,
            np.random.default_rng([episode.seed, 0x1A7E]),
            self._tally,
            self._publish,
        )
        self._begins = round(SETTLING / PERIOD)

    def tick(self) -> None:
        """Let one control cycle pass, and everything that happens in it."""
        tick = self._trial.sim.ticks
        measured, control = self._controlled.tick()
        picture = self._senses.take(tick, measured)
        if tick % _STATE_EVERY == 0:
            self._references.add(_reference(measured.stamp, control))
        if self._recorder is not None:
            self._recorder.cycle(measured, control)
        now, instruction = self._trial.sim.stamp, self._trial.episode.instruction
        if tick == self._begins:
            self._cycle.begin(instruction, now)
        if tick >= self._begins:
            self._policy.advance(now, picture)
            if picture and self._onlooker is not None:
                self._onlooker(lambda: self._assembler.assemble(now, instruction))

    def _publish(self, checked: CheckedPlan) -> None:
        plan, now = checked.plan, self._trial.sim.stamp
        self._sequence += 1
        chunk = Chunk(
            list(plan.joint_names),
            plan.joint_targets,
            plan.dt,
            plan_start_ns=plan.plan_start,
            observation_ns=checked.observation.stamp,
            session=1,
            sequence=self._sequence,
            gripper_names=list(plan.gripper_names),
            gripper_targets=plan.gripper_targets if plan.gripper_names else None,
        )
        verdict = self._controlled.submit(chunk, now)
        if not verdict.accepted:
            self._tally.counts[f"controller: {verdict.refusal.name.lower()}"] += 1
            return
        self._taken += 1
        if self._recorder is not None:
            self._recorder.handover(now, plan)

    def result(self) -> EpisodeResult:
        """Return how it ended."""
        verdict, episode = self._trial.verdict, self._trial.episode
        stops = self._controlled.controller.state().stops
        return EpisodeResult(
            episode=episode,
            success=verdict.success,
            reason=verdict.reason,
            phase=verdict.phase,
            seconds=self._trial.time - SETTLING,
            questions=self._policy.questions,
            chunks=self._taken,
            refused=dict(self._tally.counts),
            stops={reason: count for reason, count in stops.items() if count},
            events=verdict.events,
        )


def _reference(stamp: int, control: State) -> Reference:
    return Reference(
        stamp,
        np.array(control.position),
        np.array(control.velocity),
        round(control.plan_remaining * NANOSECONDS),
    )


def _without_pictures(cell: Cell, settings: AssemblySettings) -> AssemblySettings:
    return replace(settings, optional_cameras=frozenset(c.name for c in cell.policy_cameras))
