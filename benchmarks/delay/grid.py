"""Which episodes are played."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Literal

from labvla_policy.runtime.scheduling.scheduler import Mode

Answers = Literal["as it is", "continuing"]

TASKS = ("pick", "press")
DELAYS = (0.0, 0.05, 0.1, 0.2, 0.3)  # s
EXECUTE_ROWS = 8  # the policy node's default
# In sync nothing is prepared while rows are executed; more of them are blind execution, however.
SYNC_ROWS = 15


@dataclass(frozen=True)
class Scheduling:
    """A scheduling mode, and whether the engine continues what it is told."""

    mode: Mode
    answers: Answers = "as it is"

    @property
    def execute_rows(self) -> int:
        """Rows after which the next answer should take over."""
        return SYNC_ROWS if self.mode == "sync" else EXECUTE_ROWS

    @property
    def name(self) -> str:
        """What tables call it."""
        return self.mode if self.answers == "as it is" else f"{self.mode}, {self.answers}"


SCHEDULINGS = (
    Scheduling("sync"),
    Scheduling("async"),
    Scheduling("ensemble"),
    Scheduling("rtc", "continuing"),
)


@dataclass(frozen=True)
class Case:
    """What figures are reported for; its episodes differ in the seed alone."""

    task: str
    scheduling: Scheduling
    delay: float


@dataclass(frozen=True)
class Grid:
    """A set of cases and the seeds of each."""

    tasks: tuple[str, ...]
    schedulings: tuple[Scheduling, ...]
    delays: tuple[float, ...]
    seeds: tuple[int, ...]

    @property
    def cases(self) -> Iterator[Case]:
        """Every case."""
        for task, scheduling, delay in product(self.tasks, self.schedulings, self.delays):
            yield Case(task, scheduling, delay)

    @property
    def episodes(self) -> int:
        """How many episodes there are in all."""
        return len(self.tasks) * len(self.schedulings) * len(self.delays) * len(self.seeds)


def full_grid(seeds: int) -> Grid:
    """Return both tasks, all modes, all delays."""
    return Grid(TASKS, SCHEDULINGS, DELAYS, tuple(range(seeds)))


def quick_grid() -> Grid:
    """Return one task with its ends."""
    return Grid(("press",), (Scheduling("async"), SCHEDULINGS[-1]), (0.0, 0.2), (0, 1))
