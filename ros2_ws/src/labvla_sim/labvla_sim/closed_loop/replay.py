"""Drives a simulated cell along given targets, through the controller core, in simulated time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from labvla_control import Chunk
from labvla_policy.runtime.types import NANOSECONDS, Array
from labvla_sim.plant.controlled import PERIOD, ControlledCell, Steppable
from labvla_sim.plant.sim_cell import SimCell
from labvla_sim.scene.description import SceneDescription
from labvla_sim.tasks.trial import Trial

if TYPE_CHECKING:
    from labvla_policy.runtime.cell import Cell
    from labvla_sim.tasks.episode import Episode
    from labvla_sim.tasks.judging import Verdict

_SETTLING = 0.1  # s before the first target: the arm stands, and its controller knows what comes
_AFTER = 1.5  # s after the last target: judges want a goal to hold for a second
_ROWS = 64  # of a chunk
_OFTEN = 0.2  # s between two chunks: well before the controller would stop for want of a newer one


@dataclass(frozen=True, eq=False)
class Course:
    """What shall be done; joints and grippers in the order of the cell."""

    dt: float  # s between two targets
    positions: Array  # rad, targets x joints
    openings: Array  # m, targets x grippers
    start_positions: Array  # where the arms stand before
    start_openings: Array

    @property
    def seconds(self) -> float:
        """From the first target to the last."""
        return self.dt * (len(self.positions) - 1)


@dataclass(frozen=True, eq=False)
class Setting:
    """What stands on the bench, and who judges it."""

    episode: Episode
    things: Array | None = None  # where everything is, as in a snapshot; None: as the episode says
    heating: bool = False  # the hot plate runs already
    temperature: float | None = None  # degrees Celsius of the plate; None: the room's


@dataclass(frozen=True, eq=False)
class Executed:
    """What became of it."""

    times: Array  # s since the first target
    positions: Array  # measured
    openings: Array
    verdict: Verdict | None  # None where nobody judges
    refused: Mapping[str, int]  # chunks, by the controller's reason
    stops: Mapping[str, int]  # of the controller, by reason


class _EmptyBench:
    """A cell with nothing on the bench, and nobody who judges."""

    def __init__(self, sim: SimCell) -> None:
        self.sim = sim

    def step(self, torques: Sequence[float] | Array, widths: Sequence[float] | Array) -> None:
        """Advance by one tick."""
        self.sim.step(torques, widths)


def drive(
    cell: Cell,
    course: Course,
    setting: Setting | None = None,
    progress: Callable[[int, int], None] = lambda _done, _whole: None,
) -> Executed:
    """Drive a course; without a setting the bench is empty.

    Raises ValueError where the setting's things do not go with its episode.
    """
    sim = SimCell(cell)
    if setting is None:
        sim.reset(SceneDescription(), course.start_positions, course.start_openings)
        return _Drive(_EmptyBench(sim), course).run(None, progress)
    trial = Trial(sim)
    start = (tuple(map(float, v)) for v in (course.start_positions, course.start_openings))
    joints, widths = start
    trial.load(replace(setting.episode, joints=joints, widths=widths))
    if setting.things is not None:
        sim.place(setting.things)
    sim.set_hot_plate(setting.heating, setting.temperature)
    return _Drive(trial, course).run(lambda: trial.verdict, progress)


class _Drive:
    """One drive."""

    def __init__(self, bench: Steppable, course: Course) -> None:
        self._sim, self._course = bench.sim, course
        self._controlled = ControlledCell(bench)
        self._begin = bench.sim.stamp + round(_SETTLING * NANOSECONDS)
        # The last target is held: without more data the controller would stop before it.
        held = round((_AFTER + _SETTLING) / course.dt)
        self._positions, self._openings = (
            np.concatenate([targets, np.repeat(targets[-1:], held, axis=0)])
            for targets in (course.positions, course.openings)
        )
        self._refused: Counter[str] = Counter()
        self._sequence = 0

    def run(
        self, judge: Callable[[], Verdict] | None, progress: Callable[[int, int], None]
    ) -> Executed:
        """Drive to the end."""
        ticks = round((_SETTLING + self._course.seconds + _AFTER) / PERIOD)
        often = round(_OFTEN / PERIOD)
        stamps, positions, openings = [], [], []
        for tick in range(ticks):
            if tick % often == 0:
                self._submit()
                progress(tick, ticks)
            measured, _ = self._controlled.tick()
            stamps.append(measured.stamp)
            positions.append(measured.positions)
            openings.append(measured.widths)
        progress(ticks, ticks)
        stops = self._controlled.controller.state().stops
        return Executed(
            times=(np.array(stamps) - self._begin) / NANOSECONDS,
            positions=np.array(positions),
            openings=np.array(openings),
            verdict=judge() if judge is not None else None,
            refused=dict(self._refused),
            stops={reason: count for reason, count in stops.items() if count},
        )

    def _submit(self) -> None:
        """Hand over the next rows."""
        course, now = self._course, self._sim.stamp
        step = round(course.dt * NANOSECONDS)
        first = max(0, (now - self._begin) // step)
        rows = slice(first, first + _ROWS)
        self._sequence += 1
        chunk = Chunk(
            list(self._sim.cell.joints),
            self._positions[rows],
            course.dt,
            plan_start_ns=self._begin + round(first * course.dt * NANOSECONDS),
            observation_ns=now,
            session=1,
            sequence=self._sequence,
            gripper_names=[arm.gripper_name for arm in self._sim.cell.arms],
            gripper_targets=self._openings[rows],
        )
        verdict = self._controlled.submit(chunk, now)
        if not verdict.accepted:
            self._refused[verdict.refusal.name.lower()] += 1
