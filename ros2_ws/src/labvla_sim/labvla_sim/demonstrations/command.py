"""`generate`: demonstrations side by side, and on from where a run was interrupted.

Which attempts become episodes depends on the seed alone: the first successful ones in the order of
their numbers, however many processes made them and however often the run was interrupted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import mujoco

from labvla_data.dataset.errors import DatasetError, writing
from labvla_data.dataset.features import PictureFormat
from labvla_data.dataset.layout import VERSIONS, Version
from labvla_data.dataset.parts import DatasetSpec, read_part
from labvla_data.dataset.robot_schema import of_cell
from labvla_data.dataset.video import VideoSettings
from labvla_data.dataset.writer import Workplace
from labvla_data.files import replace_text
from labvla_data.json_files import as_text, read_json
from labvla_data.parallel import Progress, run_parallel, silent
from labvla_policy.model.checkpoint.source import find_checkpoint
from labvla_policy.runtime.cell import Cell
from labvla_sim.arms import arm_spec
from labvla_sim.demonstrations.attempt import VARIATION, Attempt, as_recorded, carry_out
from labvla_sim.demonstrations.course import MIXTURE
from labvla_sim.demonstrations.frames import TRUTH, TRUTH_NAMES, features
from labvla_sim.demonstrations.leader import Leader, make_leader
from labvla_sim.tasks import TASKS

REPORT = "meta/labvla_generated.json"
_WISH = "wish.json"
_FREE = frozenset({"episodes", "version"})  # may change between an interrupted run and the next
_PATIENCE = 3  # attempts for each episode that is wanted, and
_PATIENCE_AT_LEAST = 10


class TooManyFailures(Exception):
    """The expert fails too often; the text says how and why."""


@dataclass(frozen=True)
class Wish:
    """What is wanted."""

    tasks: tuple[str, ...]
    episodes: int  # of each task
    seed: int
    version: Version = "v3.0"
    images: PictureFormat = "video"
    video: VideoSettings = field(default_factory=VideoSettings)
    size: int | None = 224  # pixels, both ways; the cell's own if not given
    cameras: tuple[str, ...] | None = None  # of those that the policy sees; all if not given
    led_by: str | None = None  # checkpoint of a policy that begins each episode


Result = dict[str, Any]


def generate(
    cell: Cell,
    wish: Wish,
    target: Path,
    *,
    workers: int | None = None,
    progress: Progress = silent,
) -> Result:
    """Make a dataset; return the report.

    A dataset that stands there already and is what is wanted is left as it is.

    Args:
        cell: in which the demonstrations happen.
        wish: what is wanted.
        target: where the dataset will stand.
        workers: processes; one for each core if not given.
        progress: hears how many attempts are done.
    """
    _check(cell, wish)
    for index, arm in enumerate(cell.arms):
        arm_spec(arm, index)  # raises here, before anything is written, where there is no model
    recorded = as_recorded(cell, wish.size, wish.cameras)
    asked = _asked(recorded, wish)
    standing = _standing(target, asked)
    if standing is not None:
        return standing
    spec = DatasetSpec(
        features(recorded), int(recorded.policy.row_rate), wish.images, wish.video, cell.name
    )
    place = Workplace(target, resume=True)
    try:
        _claim(place, asked)
        leader = None
        if wish.led_by is not None:
            leader = make_leader(wish.led_by, recorded, place.folder)
            _ = leader.engine  # raises here what no attempt could change
        rounds = _Rounds(wish, recorded, spec, place.parts, leader)
        rounds.run(workers, progress)
        report = _report(rounds, asked, spec.fps)
        parts = [read_part(place.parts / told["part"]) for told in rounds.chosen]
        more = {REPORT: {**report, "asked": asked, **_meaning(wish)}}
        place.publish(spec, wish.version, parts, of_cell(recorded), more)
    finally:
        place.close()
    return {"dataset": str(target), **report}


def _check(cell: Cell, wish: Wish) -> None:
    unknown = sorted(set(wish.tasks) - set(TASKS))
    if unknown or not wish.tasks or len(set(wish.tasks)) < len(wish.tasks):
        got = ", ".join(wish.tasks) or "none"
        raise DatasetError(f"expected tasks of {', '.join(TASKS)}, each once, got {got}")
    if wish.version not in VERSIONS:
        raise DatasetError(f"expected a version of {', '.join(VERSIONS)}, got {wish.version!r}")
    if wish.episodes < 1 or wish.seed < 0:
        raise DatasetError(
            f"expected 1 episode or more and a seed of 0 or more, got {wish.episodes} and "
            f"{wish.seed}"
        )
    known = [camera.name for camera in cell.policy_cameras]
    strangers = sorted(set(wish.cameras or ()) - set(known))
    if strangers or wish.cameras == ():
        raise DatasetError(
            f"expected cameras of {', '.join(known)}, got {', '.join(strangers) or 'none'}"
        )
    rate = cell.policy.row_rate
    if rate != int(rate):
        raise DatasetError(
            f"the policy of cell {cell.name} has {rate:g} rows a second, and a dataset needs a "
            "whole number"
        )


def _asked(cell: Cell, wish: Wish) -> Result:
    """Return all that the dataset depends on, as JSON."""
    return {
        "tasks": list(wish.tasks),
        "episodes": wish.episodes,
        "seed": wish.seed,
        "version": wish.version,
        "images": wish.images,
        "video": asdict(wish.video),
        "size": wish.size,
        "cameras": [camera.name for camera in cell.policy_cameras],
        "cell": cell.name,
        "cell_hash": cell.hash,
        "mujoco": mujoco.__version__,
        "led_by": None if wish.led_by is None else find_checkpoint(wish.led_by).digest,
    }


def _standing(target: Path, asked: Result) -> Result | None:
    """Return the report of what stands there; refuse what is something else."""
    if not target.is_dir() or not any(target.iterdir()):
        return None  # the workplace says what is wrong with anything else
    if not (target / REPORT).is_file():
        raise DatasetError(
            f"{target}: exists already, and was not made by `labvla generate`: choose another name"
        )
    found: Result = read_json(target / REPORT)
    _compare(target, found["asked"], asked, frozenset())
    kept = {key: value for key, value in found.items() if key in _REPORTED}
    return {"dataset": str(target), **kept}


def _claim(place: Workplace, asked: Result) -> None:
    """Note for whom the parts are; refuse to mix them with those of another wish."""
    path = place.folder / _WISH
    if path.exists():
        _compare(place.folder, read_json(path), asked, _FREE)
    with writing(path):
        replace_text(path, as_text(asked))


def _compare(folder: Path, found: Result, asked: Result, free: frozenset[str]) -> None:
    other = [
        f"{key} {found.get(key)!r}, asked for {value!r}"
        for key, value in asked.items()
        if key not in free and found.get(key) != value
    ]
    if other:
        raise DatasetError(
            f"{folder}: exists already, and is something else: {'; '.join(other)}. Ask for the "
            "same again, choose another name, or delete it first"
        )


class _Rounds:
    """Makes attempts until there are enough good ones of every task."""

    def __init__(
        self, wish: Wish, cell: Cell, spec: DatasetSpec, folder: Path, leader: Leader | None
    ) -> None:
        self._wish, self._cell, self._spec, self._folder = wish, cell, spec, folder
        self._leader = leader
        self._told: dict[tuple[int, str], Result] = {}

    def run(self, workers: int | None, progress: Progress) -> None:
        """Attempt round after round; each one makes up for the failures of the last."""
        while attempts := self._next():
            done = len(self._told)

            def tell(now: int, whole: int, done: int = done) -> None:
                progress(done + now, done + whole)

            for attempt, told in run_parallel(carry_out, attempts, workers, tell):
                self._told[attempt.number, attempt.task] = told

    @property
    def attempts(self) -> list[Result]:
        """What became of all that had to be tried, in the order of their numbers."""
        return [self._told[key] for key in sorted(self._told)]

    @property
    def chosen(self) -> list[Result]:
        """The good ones."""
        return [told for told in self.attempts if told["refused"] is None]

    def _next(self) -> Sequence[Attempt]:
        wish, needed = self._wish, []
        for task in wish.tasks:
            mine = [told for told in self.attempts if told["task"] == task]
            good = sum(told["refused"] is None for told in mine)
            limit = max(_PATIENCE * wish.episodes, _PATIENCE_AT_LEAST)
            if good < wish.episodes and len(mine) >= limit:
                raise TooManyFailures(_why_so_few(task, wish.episodes, mine))
            count = min(wish.episodes - good, limit - len(mine))
            needed += [
                Attempt(
                    task,
                    number,
                    wish.seed,
                    self._cell,
                    self._spec,
                    self._folder,
                    self._leader,
                )
                for number in range(len(mine), len(mine) + count)
            ]
        return sorted(needed, key=lambda attempt: (attempt.number, attempt.task))


def _why_so_few(task: str, wanted: int, told: Sequence[Result]) -> str:
    refused = [one["refused"] for one in told if one["refused"] is not None]
    reasons = Counter(one["reason"] for one in refused)
    counted = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
    return (
        f"{task}: {len(told) - len(refused)} good demonstrations in {len(told)} attempts, expected "
        f"{wanted}; refused: {counted}; the last one: {refused[-1]['detail']}"
    )


_REPORTED = (
    "version",
    "images",
    "tasks",
    "episodes",
    "frames",
    "seconds",
    "attempts",
    "success",
    "courses",
    "refused",
)


def _report(rounds: _Rounds, asked: Mapping[str, Any], fps: int) -> Result:
    chosen, attempts = rounds.chosen, rounds.attempts
    count = sum(told["frames"] for told in chosen)
    return {
        "version": asked["version"],
        "images": asked["images"],
        "tasks": {task: sum(told["task"] == task for told in chosen) for task in asked["tasks"]},
        "episodes": len(chosen),
        "frames": count,
        "seconds": count / fps,
        "attempts": len(attempts),
        "success": len(chosen) / len(attempts),
        "courses": dict(Counter(told["course"] for told in chosen)),
        "refused": [
            {key: told[key] for key in ("task", "attempt", "seed")} | told["refused"]
            for told in attempts
            if told["refused"] is not None
        ],
    }


def _meaning(wish: Wish) -> Result:
    """Return what a reader of the dataset may want to know besides the report."""
    return {
        "variation": VARIATION,
        "mixture": {"led": 1.0} if wish.led_by is not None else dict(MIXTURE),
        "truth": {"feature": TRUTH, "names": list(TRUTH_NAMES)},
        "wordings": {task: list(TASKS[task].wordings) for task in wish.tasks},
    }
