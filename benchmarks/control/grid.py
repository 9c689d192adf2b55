"""Which streams are played."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from benchmarks.control.arm import Arm
from benchmarks.control.streams import OBSERVATION_PERIOD, Scenario

DISAGREEMENTS = (0.0, 0.010, 0.030)
ROW_NOISES = (0.001, 0.003)
HORIZONS = (10, 50)
DELAYS = (0.0, 0.05, 0.1, 0.2, 0.3)
MOTIONS = ("sines", "reaches")


@dataclass(frozen=True)
class Case:
    """What the figures are reported for; its scenarios differ in motion and seed alone."""

    disagreement: float
    row_noise: float
    horizon: int
    delay: float
    network: str

    def scenarios(self, seeds: int, duration: float) -> Iterator[Scenario]:
        """Yield every repetition."""
        for seed, motion in product(range(1, seeds + 1), MOTIONS):
            yield Scenario(
                motion,
                self.disagreement,
                self.row_noise,
                self.horizon,
                self.delay,
                self.network,
                seed,
                duration,
            )

    def starved(self, arm: Arm) -> bool:
        """Whether a chunk runs out before the next one can arrive, even on a perfect network."""
        reach = arm.row_period * (self.horizon - 1 + arm.row_offset)
        return reach < self.delay + OBSERVATION_PERIOD


@dataclass(frozen=True)
class Grid:
    """A set of cases, and how much of each is played."""

    cases: tuple[Case, ...]
    seeds: int
    duration: float


def full_grid() -> Grid:
    """Return disagreement, network and row noise over all horizons and delays."""
    rough = [
        Case(sigma, 0.0, horizon, delay, "rough")
        for sigma, horizon, delay in product(DISAGREEMENTS, HORIZONS, DELAYS)
    ]
    clean = [
        Case(sigma, 0.0, horizon, delay, "clean")
        for sigma, horizon, delay in product(DISAGREEMENTS, HORIZONS, (0.0, 0.1, 0.2))
    ]
    noisy = [
        Case(0.0, noise, horizon, delay, "rough")
        for noise, horizon, delay in product(ROW_NOISES, HORIZONS, (0.0, 0.1, 0.3))
    ]
    return Grid((*rough, *clean, *noisy), seeds=2, duration=8.0)


def quick_grid() -> Grid:
    """Return a few cases that show each effect."""
    return Grid(
        (
            Case(0.0, 0.0, 50, 0.1, "clean"),
            Case(0.010, 0.0, 50, 0.1, "rough"),
            Case(0.030, 0.0, 50, 0.3, "rough"),
            Case(0.0, 0.003, 50, 0.1, "rough"),
            Case(0.010, 0.0, 10, 0.1, "clean"),
        ),
        seeds=1,
        duration=4.0,
    )
