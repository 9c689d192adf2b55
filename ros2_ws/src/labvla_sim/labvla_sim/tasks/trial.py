"""A task under way: the plant, the judge who watches it, and the clock of both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from labvla_sim.tasks.episode import Episode, sample_episode
from labvla_sim.tasks.judging import RATE, Verdict
from labvla_sim.tasks.registry import TASKS, new_judge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from labvla_policy.runtime.types import Array
    from labvla_sim.plant.sim_cell import SimCell
    from labvla_sim.tasks.variation import VariationName


class Trial:
    """Steps a cell and has the judge look at it 60 times per simulated second."""

    def __init__(self, sim: SimCell) -> None:
        self.sim = sim
        self._episode: Episode | None = None

    def reset(self, task: str, seed: int, variation: VariationName = "id") -> Episode:
        """Draw an episode and put it up."""
        return self.load(sample_episode(self.sim.cell, task, seed, variation))

    def load(self, episode: Episode) -> Episode:
        """Put up an episode that is already drawn."""
        self.sim.reset(
            episode.scene, np.array(episode.joints), np.array(episode.widths), episode.seed
        )
        self._episode = episode
        self._judge = new_judge(episode.task, episode.scene, self.sim.truth())
        self._looks = 0
        return episode

    @property
    def episode(self) -> Episode:
        """What is running."""
        if self._episode is None:
            raise RuntimeError("no episode is running: call reset first")
        return self._episode

    def step(self, torques: Sequence[float] | Array, widths: Sequence[float] | Array) -> None:
        """Advance by one tick; see `SimCell.step`."""
        self.sim.step(torques, widths)
        due = int(self.sim.ticks * 1e-3 * RATE)
        if due > self._looks:
            self._looks = due
            self._judge.look(self.sim.truth())

    @property
    def time(self) -> float:
        """Seconds since the reset."""
        return self.sim.ticks * 1e-3

    @property
    def out_of_time(self) -> bool:
        """Whether the task's time limit is over."""
        return self.time >= TASKS[self.episode.task].time_limit

    @property
    def verdict(self) -> Verdict:
        """What the judge says so far."""
        return self._judge.verdict
