"""Normalisation statistics as LabVLA's training and server expect them.

`action` are deltas: every action of a chunk minus the state at its beginning, over all beginnings t
and rows k < min(chunk, T - t); `action_abs` are the same rows as they stand. They depend on the
chunk's length, which is written beside them.

Quantiles come from histograms of 5000 bins between the least and the greatest value. These are
found in a first pass, so the result does not depend on the order of the episodes or on how many
processes share the work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Motion = tuple[Array, Array]  # states and actions of an episode, frames x columns

CHUNK = 50  # rows that the model predicts
BINS = 5000
STATE, DELTA, ABSOLUTE = "observation.state", "action", "action_abs"
CHUNK_KEY = "_chunk_size"
_QUANTILES = {"q01": 0.01, "q99": 0.99}


@dataclass(frozen=True)
class Recipe:
    """What the statistics depend on besides the data."""

    delta_mask: tuple[bool, ...]  # by column of the action; the others stay absolute
    chunk: int = CHUNK

    def rows(self, motion: Motion) -> dict[str, Array]:
        """Return an episode's samples by key, samples x columns."""
        states, actions = (np.asarray(part, dtype=np.float64) for part in motion)
        frames = len(actions)
        anchors = states[:, : actions.shape[1]] * np.array(self.delta_mask)
        begin, row = np.meshgrid(np.arange(frames), np.arange(self.chunk), indexing="ij")
        valid = begin + row < frames
        absolute = actions[(begin + row)[valid]]
        return {STATE: states, DELTA: absolute - anchors[begin[valid]], ABSOLUTE: absolute}


@dataclass(eq=False)
class Moments:
    """Count, mean, spread and range of samples; those of two sets can be merged."""

    count: int
    mean: Array
    squares: Array  # sum of squared distances from the mean
    low: Array
    high: Array

    @classmethod
    def of(cls, rows: Array) -> Moments:
        """Measure samples x columns."""
        mean = rows.mean(axis=0)
        squares = ((rows - mean) ** 2).sum(axis=0)
        return cls(len(rows), mean, squares, rows.min(axis=0), rows.max(axis=0))

    def merged(self, other: Moments) -> Moments:
        """Return the moments of both sets."""
        count = self.count + other.count
        step = other.mean - self.mean
        return Moments(
            count,
            self.mean + step * (other.count / count),
            self.squares + other.squares + step**2 * (self.count * other.count / count),
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
        )


def moments(motion: Motion, recipe: Recipe) -> dict[str, Moments]:
    """Return an episode's moments: the first pass."""
    return {key: Moments.of(rows) for key, rows in recipe.rows(motion).items()}


def histograms(
    motion: Motion, recipe: Recipe, ranges: Mapping[str, Moments]
) -> dict[str, NDArray[np.int64]]:
    """Return how many of an episode's samples fall into each bin, columns x bins."""
    return {key: _histogram(rows, ranges[key]) for key, rows in recipe.rows(motion).items()}


def _histogram(rows: Array, within: Moments) -> NDArray[np.int64]:
    span = within.high - within.low
    scale = np.divide(BINS, span, out=np.zeros_like(span), where=span > 0)
    bins = np.minimum(((rows - within.low) * scale).astype(np.int64), BINS - 1)
    return np.stack([np.bincount(column, minlength=BINS) for column in bins.T])


def result(
    whole: Mapping[str, Moments], counts: Mapping[str, NDArray[np.int64]], chunk: int
) -> dict[str, Any]:
    """Return the contents of `norm_stats.json`; without histograms it has no quantiles."""
    stats: dict[str, Any] = {}
    for key, moment in whole.items():
        stats[key] = {
            "mean": moment.mean.tolist(),
            "std": np.sqrt(moment.squares / moment.count).tolist(),
            **{
                name: _quantile(counts[key], moment, q).tolist()
                for name, q in (_QUANTILES.items() if counts else ())
            },
            "min": moment.low.tolist(),
            "max": moment.high.tolist(),
            "count": [moment.count],
        }
    return {**stats, CHUNK_KEY: chunk}


def _quantile(counts: NDArray[np.int64], moment: Moments, quantile: float) -> Array:
    """Return each column's quantile: the place inside the bin in which its rank falls."""
    below = np.cumsum(counts, axis=1)
    rank = quantile * moment.count
    bins = (below >= rank).argmax(axis=1)
    columns = np.arange(len(counts))
    inside = counts[columns, bins]
    fraction = np.clip((rank - (below[columns, bins] - inside)) / np.maximum(inside, 1), 0.0, 1.0)
    return np.asarray(moment.low + (bins + fraction) / BINS * (moment.high - moment.low))


def merge_moments(parts: Iterable[Mapping[str, Moments]]) -> dict[str, Moments]:
    """Return the moments of all episodes."""
    whole: dict[str, Moments] = {}
    for part in parts:
        for key, moment in part.items():
            whole[key] = whole[key].merged(moment) if key in whole else moment
    return whole


def merge_histograms(
    parts: Iterable[Mapping[str, NDArray[np.int64]]],
) -> dict[str, NDArray[np.int64]]:
    """Return the histograms of all episodes."""
    whole: dict[str, NDArray[np.int64]] = {}
    for part in parts:
        for key, counts in part.items():
            whole[key] = whole[key] + counts if key in whole else counts
    return whole


def compute(motions: Callable[[], Iterator[Motion]], recipe: Recipe) -> dict[str, Any]:
    """Return the statistics of all episodes, each of which is read twice."""
    whole = merge_moments(moments(motion, recipe) for motion in motions())
    counts = merge_histograms(histograms(motion, recipe, whole) for motion in motions())
    return result(whole, counts, recipe.chunk)


def missing_fields(stats: Mapping[str, Any], keys: Sequence[str]) -> list[str]:
    """Return which entries a file of such statistics lacks."""
    wanted = ("mean", "std", "min", "max", *_QUANTILES)
    return [
        f"{key}.{field}" if key in stats else key
        for key in keys
        for field in (wanted if key in stats else ("",))
        if key not in stats or field not in stats[key]
    ]
