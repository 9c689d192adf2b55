"""An evaluation from the question to its result; how episodes are played is somebody else's."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any, Literal

import mujoco

from labvla_data.json_files import write_json
from labvla_data.parallel import Progress, cores, silent
from labvla_policy.runtime.cell import Cell
from labvla_sim.evaluation.agreement import Other
from labvla_sim.evaluation.contestant import Contestant
from labvla_sim.evaluation.crew import Order
from labvla_sim.evaluation.job import Job, Setting, jobs
from labvla_sim.evaluation.ledger import Ledger
from labvla_sim.evaluation.page import Shown, page
from labvla_sim.evaluation.record import Record
from labvla_sim.evaluation.suite import Condition, EvaluationError, Suite
from labvla_sim.evaluation.summary import average, by_task, sweep_row

PathName = Literal["inprocess", "stack"]
Play = Callable[[Sequence[Order]], Iterator[tuple[Job, Record]]]
Result = dict[str, Any]

_LAST_SEED = 2**32 - 1  # that the simulator's service takes
RESULT, REPORT, FILMS = "result.json", "report.html", "films"


@dataclass(frozen=True)
class Wish:
    """What is asked."""

    suite: Suite
    contestant: Contestant
    path: PathName
    conditions: tuple[Condition, ...]
    episodes: int  # of each task in each condition
    seed: int  # of the first episode; the others follow
    base: Setting
    sweep: tuple[Setting, ...] = ()  # with the suite's `id` alone
    films: int = 6  # of failures, at most

    def __post_init__(self) -> None:
        last = self.seed + self.episodes - 1
        if self.episodes < 1 or self.seed < 0 or last > _LAST_SEED:
            raise EvaluationError(
                f"expected 1 episode or more and seeds of 0 to {_LAST_SEED}, got {self.episodes} "
                f"episodes from seed {self.seed} on"
            )
        if self.films < 0:
            raise EvaluationError(f"films: expected 0 or more, got {self.films}")

    @cached_property
    def jobs(self) -> list[Job]:
        """Every episode."""
        plain = tuple(one for one in self.suite.conditions if one.kind == "id")
        settings: dict[Setting, Sequence[Condition]] = {self.base: self.conditions}
        for setting in self.sweep:
            settings.setdefault(setting, plain)
        return jobs(self.suite, settings, range(self.seed, self.seed + self.episodes))

    def asked(self, cell: Cell) -> Mapping[str, Any]:
        """Return what all episodes of a folder have in common."""
        return {
            "suite": self.suite.name,
            "path": self.path,
            "engine": self.contestant.kind,
            "options": dict(self.contestant.options),
            "checkpoint": self.contestant.digest,
            "cell": cell.name,
            "cell_hash": cell.hash,
            "mujoco": mujoco.__version__,
        }


class Evaluation:
    """One folder, to which episodes are added until all are there."""

    def __init__(self, wish: Wish, cell: Cell, folder: Path, against: Path | None = None) -> None:
        """Open the folder; raise EvaluationError where it is another evaluation's.

        With `against`, the folder of another evaluation, both are compared episode by episode.
        """
        self._wish = wish
        self._asked = wish.asked(cell)
        self._other = None if against is None else Other(against, self._asked)
        self._ledger = Ledger(folder, self._asked)
        self._folder = folder
        crashes = [key for key, r in self._ledger.records.items() if r["failure"] == "crashed"]
        self._ledger.forget(crashes)  # once more: the machine may have been out of memory

    def run(self, play: Play, progress: Progress = silent) -> None:
        """Play what is missing."""
        every = self._wish.jobs
        missing = [Order(job) for job in every if job.key not in self._ledger.records]
        done = len(every) - len(missing)
        progress(done, len(every))
        for count, (_, record) in enumerate(play(missing), 1):
            self._ledger.add(record)
            progress(done + count, len(every))

    def film(self, play: Play, progress: Progress = silent) -> None:
        """Play failures again, into films: a few, of as many kinds as possible.

        Where an episode goes another way this time, its film shows something else and is not kept.
        """
        orders = [
            Order(job, self._film(job))
            for job in self._worth_a_film
            if not self._film(job).exists()
        ]
        for count, (job, record) in enumerate(play(orders), 1):
            if record["failure"] != self._ledger.records[job.key]["failure"]:
                self._film(job).unlink(missing_ok=True)
            progress(count, len(orders))

    @property
    def crashes(self) -> list[Record]:
        """Episodes that have no end: the answer to the question is incomplete."""
        return [record for record in self._records if record["failure"] == "crashed"]

    def result(self) -> Result:
        """Return the figures; write them, and the report, into the folder."""
        wish, records = self._wish, self._records
        own = [record for record in records if record["setting"] == wish.base.name]
        tasks = by_task(wish.suite, wish.conditions, own)
        walls = [record["wall"] for record in records if "wall" in record]
        result: Result = {
            **self._asked,
            "policy": next((record["policy"] for record in records if "policy" in record), ""),
            "setting": wish.base.as_dict(),
            "episodes": wish.episodes,
            "seed": wish.seed,
            "tasks": tasks,
            "average": average(tasks, "id"),
            "average_ood": average(tasks, "ood"),
            "sweep": [self._swept(setting) for setting in wish.sweep],
            "agreement": self._other and self._other.agreement(records),
            "films": [self._shown(job) for job in self._worth_a_film if self._film(job).exists()],
            "crashed": len(self.crashes),
            "wall_median": round(median(walls), 2) if walls else None,  # s for an episode
            "machine": {"cores": cores(), "processor": platform.machine()},
        }
        write_json(self._folder / RESULT, result)
        shown = Shown(result, wish.conditions, self._folder / FILMS)
        (self._folder / REPORT).write_text(page(shown), encoding="utf-8")
        return result

    @property
    def _records(self) -> list[Record]:
        return [self._ledger.records[job.key] for job in self._wish.jobs]

    def _swept(self, setting: Setting) -> Result:
        own = [record for record in self._records if record["setting"] == setting.name]
        plain = tuple(one for one in self._wish.suite.conditions if one.kind == "id")
        return sweep_row(setting, by_task(self._wish.suite, plain, own))

    @property
    def _worth_a_film(self) -> list[Job]:
        """The first failures of each kind in each condition, as many as are wanted."""
        seen: dict[tuple[str, str, str], Job] = {}
        for job in self._wish.jobs:
            record = self._ledger.records[job.key]
            failed = not record["success"] and record["failure"] != "crashed"
            if failed and job.setting == self._wish.base:
                seen.setdefault((job.condition.name, job.task, record["failure"]), job)
        return list(seen.values())[: self._wish.films]

    def _film(self, job: Job) -> Path:
        return self._folder / FILMS / f"{job.condition.name}-{job.task}-{job.seed}.mp4"

    def _shown(self, job: Job) -> Result:
        record = self._ledger.records[job.key]
        known = ("condition", "task", "seed", "failure", "reason", "seconds")
        return {"file": self._film(job).name, **{key: record[key] for key in known}}
