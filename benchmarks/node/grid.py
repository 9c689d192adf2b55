"""Which loads are measured, and how long."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.node.bench import NodeKind
from benchmarks.node.streams import Load

TOGETHER = (0.0, 0.0, 0.0)
FREE = (0.0, 0.009, 0.021)  # s; three cameras that nobody triggers
EVERY_SET = 0.0
POLICY_RATE = 5.0  # Hz, as a policy of a few hundred million parameters answers


@dataclass(frozen=True)
class Case:
    """One load, and how often a plan is asked for."""

    load: Load
    rate: float  # Hz; 0: at every set of pictures

    @property
    def name(self) -> str:
        """What tables call it."""
        asked = "every set" if self.rate == EVERY_SET else f"{self.rate:g} Hz"
        return f"{self.load.name}, plans at {asked}"


@dataclass(frozen=True)
class Grid:
    """A set of cases, and how much of each is measured."""

    cases: tuple[Case, ...]
    order: tuple[NodeKind, ...]  # one after the other; neither has the better place
    seconds: float


def full_grid() -> Grid:
    """Return both picture sizes and joint rates, asked as a policy asks and at every set."""
    loads = [
        Load(*size, rate, TOGETHER) for size in ((224, 224), (640, 480)) for rate in (200, 1000)
    ]
    cases = [Case(load, rate) for rate in (POLICY_RATE, EVERY_SET) for load in loads]
    cases.append(Case(Load(640, 480, 1000, FREE), POLICY_RATE))
    return Grid(tuple(cases), ("labvla", "naive", "naive", "labvla", "labvla", "naive"), 8.0)


def quick_grid() -> Grid:
    """Return one case."""
    return Grid((Case(Load(224, 224, 200, TOGETHER), POLICY_RATE),), ("labvla", "naive"), 2.0)
