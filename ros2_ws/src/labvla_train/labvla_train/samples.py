"""Where samples begin, which are held out, and in which order they are learnt.

Everything follows from the seed and the number of the step, so that a run which goes on after an
interruption sees what it would have seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labvla_train.errors import TrainError

_HELD_OUT, _ORDER = 0x4E1D, 0x0DE5  # streams of chance that have nothing in common


@dataclass(frozen=True)
class Sample:
    """An observation and what was done after it."""

    demonstration: int  # place in the list of demonstrations
    frame: int


@dataclass(frozen=True, eq=False)
class Split:
    """Samples to learn from, and others that are only measured."""

    learnt: Sequence[Sample]
    held_out: Sequence[Sample]


def split(lengths: Sequence[int], stride: int, share: float, seed: int) -> Split:
    """Hold whole episodes out: neighbouring frames would be all but known."""
    order = np.random.default_rng([seed, _HELD_OUT]).permutation(len(lengths))
    count = round(share * len(lengths))
    out = set(order[:count].tolist())
    learnt: list[Sample] = []
    held: list[Sample] = []
    for number, length in enumerate(lengths):
        samples = [Sample(number, frame) for frame in range(0, length, stride)]
        (held if number in out else learnt).extend(samples)
    if not learnt:
        raise TrainError("expected episodes to learn from; all of them are held out")
    return Split(learnt, held)


class Order:
    """Which samples a step learns: all of them once, in another order, then again."""

    def __init__(self, count: int, batch: int, seed: int) -> None:
        self._count, self._batch, self._seed = count, batch, seed
        self._epoch, self._shuffled = -1, np.empty(0, dtype=np.int64)

    def of_step(self, step: int) -> NDArray[np.int64]:
        """Return places in the list of samples."""
        places = np.arange(step * self._batch, (step + 1) * self._batch)
        return np.array([self._at(int(place)) for place in places])

    def _at(self, place: int) -> int:
        epoch, within = divmod(place, self._count)
        if epoch != self._epoch:
            chance = np.random.default_rng([self._seed, _ORDER, epoch])
            self._epoch, self._shuffled = epoch, chance.permutation(self._count)
        return int(self._shuffled[within])
