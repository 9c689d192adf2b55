"""Chunks as a policy sends them: a smooth motion, seen anew and a little differently every time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Shape:
    """How a policy talks."""

    row_period: float = 1.0 / 30.0  # s
    rows: int = 16
    chunk_period: float = 0.2  # s between two chunks
    latency: float = 0.08  # s from observation to publication
    disagreement: float = 0.010  # rad, standard deviation of a chunk's smooth error


@dataclass(frozen=True)
class Chunk:
    """Row k holds the targets for `start + k * row_period`, all in stream time."""

    publish: float
    start: float
    targets: Array  # rows x joints


class Stream:
    """A reproducible stream around `home`; stream time begins with the first observation."""

    def __init__(
        self, home: Array, shape: Shape, seed: int, amplitude: float = 0.15, hertz: float = 0.25
    ) -> None:
        self.home = home
        self.shape = shape
        rng = np.random.default_rng(seed)
        self._phase = rng.uniform(0.0, 0.5, home.size)
        self._rate = 2.0 * np.pi * hertz * rng.uniform(0.8, 1.2, home.size)
        self._amplitude = amplitude * rng.uniform(0.5, 1.0, home.size)
        self._seed = seed

    def truth(self, time: Array) -> Array:
        """Return the motion that all chunks mean; at rest at time 0."""
        t = np.maximum(time, 0.0)[:, None]
        ease = 1.0 - np.exp(-((t / 1.0) ** 3))
        wave = np.sin(self._rate * t + self._phase) - np.sin(self._phase)
        return self.home + self._amplitude * ease * wave

    def chunk(self, index: int) -> Chunk:
        """Return the chunk of the observation at `index * chunk_period`."""
        shape = self.shape
        rng = np.random.default_rng((self._seed, index))
        start = index * shape.chunk_period
        ahead = shape.row_period * np.arange(shape.rows)
        # Zero at the observation, growing along the chunk, bent: what disagreement looks like.
        reach = ahead[-1]
        bow = np.stack([ahead / reach, np.sin(np.pi * ahead / reach)])
        error = shape.disagreement * rng.standard_normal((self.home.size, 2)) @ bow
        targets = self.truth(start + ahead) + error.T
        return Chunk(start + shape.latency, start, targets)
