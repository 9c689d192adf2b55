"""One attempt at a demonstration: an episode of the dataset, or a reason why there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from labvla_data.dataset.parts import DatasetSpec, PartWriter
from labvla_data.files import replace_text
from labvla_data.json_files import JsonFileError, as_text, read_json
from labvla_data.scene import SIMULATION
from labvla_policy.runtime.cell import Cell
from labvla_policy.runtime.refusal import Refused as ObservationRefused
from labvla_policy.runtime.types import NANOSECONDS, Observation
from labvla_sim.closed_loop import EpisodeResult, EpisodeRunner, MotionRecorder
from labvla_sim.demonstrations.course import Course, sample_course, sample_takeover
from labvla_sim.demonstrations.demonstrator import Demonstrator
from labvla_sim.demonstrations.frames import Moment, frames, truth_row
from labvla_sim.demonstrations.leader import Leader
from labvla_sim.demonstrations.reasons import Refused
from labvla_sim.plant import CellRenderer, SimCell
from labvla_sim.tasks import TASKS, Episode, Trial, sample_episode
from labvla_sim.tasks.sampling import NoRoom
from labvla_sim.tasks.variation import VariationName

VARIATION: VariationName = "train"
# Seeds of attempts: two datasets with other seeds never have an episode in common.
SEEDS_APART = 1_000_000
_LONGEST_END = 2.0  # s that the expert may go on after success, until it has nothing more to do
_JITTER = 0.002  # s: stamps are whole milliseconds


@dataclass(frozen=True)
class Attempt:
    """What one worker needs to know."""

    task: str
    number: int
    seed: int  # of the dataset
    cell: Cell
    spec: DatasetSpec
    folder: Path  # of the parts
    leader: Leader | None = None

    @property
    def key(self) -> str:
        """The name of its part."""
        return f"{self.task}-{self.number:06d}"

    @property
    def note(self) -> Path:
        """The file that says that it is done."""
        return self.folder / f"{self.key}.json"

    @property
    def episode_seed(self) -> int:
        """The seed of its scene, disturbance and noise."""
        return self.seed * SEEDS_APART + self.number


@dataclass(frozen=True)
class Demonstration:
    """A demonstration that succeeded."""

    episode: Episode
    course: Course
    moments: list[Moment]
    motion: MotionRecorder
    result: EpisodeResult


def carry_out(attempt: Attempt) -> dict[str, Any]:
    """Make one attempt; what it returns is also kept beside the parts, for a run that goes on."""
    done = done_before(attempt)
    if done is not None:
        return done
    told: dict[str, Any] = {
        "task": attempt.task,
        "attempt": attempt.number,
        "seed": attempt.episode_seed,
    }
    try:
        shown = demonstrate(attempt.cell, attempt.task, attempt.episode_seed, leader=attempt.leader)
        told |= {"part": attempt.key, "frames": _write(attempt, shown), "refused": None}
        told["course"] = shown.course.kind
    except Refused as refused:
        reasons = {"reason": refused.reason, "detail": refused.detail}
        told |= {"part": None, "frames": 0, "refused": reasons}
    replace_text(attempt.note, as_text(told))
    return told


def done_before(attempt: Attempt) -> dict[str, Any] | None:
    """Return what an earlier run has noted, if what it made is still there."""
    try:
        kept: dict[str, Any] = read_json(attempt.note)
    except JsonFileError:
        return None
    whole = kept.get("part") is None or (attempt.folder / kept["part"]).is_dir()
    return kept if whole and "refused" in kept else None


def demonstrate(
    cell: Cell, task: str, seed: int, *, pictures: bool = True, leader: Leader | None = None
) -> Demonstration:
    """Let the expert do a task in a scene of the seed; raise why it is no demonstration.

    With a leader the expert takes over where that has got to after a while.
    """
    try:
        episode = sample_episode(cell, task, seed, VARIATION)
        if leader is not None:
            course = sample_takeover(cell, episode)
        else:
            episode, course = sample_course(cell, episode)
    except NoRoom as error:
        raise Refused("no_room", str(error)) from None
    # A plant of its own: its clock starts at zero, so that nothing depends on earlier episodes.
    trial = Trial(SimCell(cell, episode.scene))
    demonstrator = Demonstrator(trial, course, None if leader is None else leader.engine)
    motion = MotionRecorder()
    moments: list[Moment] = []

    def look(see: Callable[[], Observation]) -> None:
        if demonstrator.undisturbed:
            truth = truth_row(cell, episode.scene, trial.sim.truth())
            moments.append(Moment(see(), truth, demonstrator.phase))

    names = [camera.name for camera in cell.policy_cameras]
    renderer = CellRenderer(cell, cameras=names) if pictures else None
    try:
        result = EpisodeRunner(trial, demonstrator, renderer=renderer).run(
            episode,
            move=course.move,
            recorder=motion,
            onlooker=look,
            enough=_Enough(demonstrator),
        )
    except ObservationRefused as refused:
        raise Refused("gap", str(refused)) from None
    finally:
        if renderer is not None:
            renderer.close()
    _check(cell, course, result, moments)
    return Demonstration(episode, course, moments, motion, result)


class _Enough:
    """Success, and the expert at rest: what a policy sees last should be an arm that is done."""

    def __init__(self, demonstrator: Demonstrator) -> None:
        self._demonstrator = demonstrator
        self._since: float | None = None

    def __call__(self, trial: Trial) -> bool:
        if not trial.verdict.success:
            return False
        if self._since is None:
            self._since = trial.time
        return self._demonstrator.finished or trial.time > self._since + _LONGEST_END


def _check(cell: Cell, course: Course, result: EpisodeResult, moments: list[Moment]) -> None:
    if not result.success:
        raise Refused("failed", result.reason)
    if result.phase != TASKS[result.episode.task].done:
        raise Refused("undone", f"at the end: {result.phase}")
    # A stop under a leader is one of its mistakes; the expert's own plans come without delay.
    if result.stops and course.kind != "led":
        raise Refused("stopped", ", ".join(f"{name} {n}" for name, n in result.stops.items()))
    success = next(event.time for event in result.events if event.name == "success")
    if not moments or moments[0].seen.stamp > success * NANOSECONDS:
        raise Refused("early", f"success after {success:.2f} s")
    seconds = np.diff([moment.seen.stamp for moment in moments]) / NANOSECONDS
    off = np.abs(seconds - 1.0 / cell.policy.row_rate)
    if off.size and off.max() > _JITTER:
        raise Refused("gap", f"{off.max() * 1e3:.0f} ms off the rate of the rows")


def _write(attempt: Attempt, shown: Demonstration) -> int:
    """Write the episode down; return the number of its frames."""
    episode = shown.episode
    part = PartWriter(attempt.folder / attempt.key, attempt.spec)
    try:
        rows = frames(attempt.cell, shown.moments, shown.motion)
        for frame, moment in zip(rows, shown.moments, strict=False):
            part.add(frame, episode.instruction, moment.phase)
        part.finish(_metadata(attempt, shown))
    except BaseException:
        part.abandon()
        raise
    return len(rows)


def _metadata(attempt: Attempt, shown: Demonstration) -> dict[str, Any]:
    episode = shown.episode
    return {
        "source": SIMULATION,
        "task_name": episode.task,
        "wordings": list(TASKS[episode.task].wordings),
        "outcome": "success",
        "attempt": attempt.number,
        "seed": episode.seed,
        "variation": episode.variation,
        "recorded_from": shown.moments[0].seen.stamp / NANOSECONDS,
        "course": asdict(shown.course),
        "refused": dict(shown.result.refused),
        "start": {"joints": episode.joints, "widths": episode.widths},
        "scene": episode.scene.as_dict(),
    }


def as_recorded(cell: Cell, size: int | None, cameras: tuple[str, ...] | None) -> Cell:
    """Return the cell with the cameras of the dataset: in step with the rows, and without delay."""
    chosen = [
        camera
        for camera in cell.cameras
        if (camera.slot is not None and (cameras is None or camera.name in cameras))
    ]
    rate = cell.policy.row_rate
    return replace(
        cell,
        cameras=tuple(
            replace(
                camera,
                width=size or camera.width,
                height=size or camera.height,
                rate=rate,
                latency=0.0,
            )
            for camera in chosen
        ),
    )
