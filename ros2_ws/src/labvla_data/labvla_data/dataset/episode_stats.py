"""Statistics in the form in which LeRobot keeps them: one set for every episode and feature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Stats = dict[str, NDArray[Any]]  # mean, std, min, max, count and quantiles, each with its name

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
_CHANNELS = 3
_LEVELS = np.arange(256)
# Statistics of pictures are taken from every n-th pixel; LeRobot thins them out alike.
_LARGEST_KEPT_WHOLE, _THINNED_SIZE = 300, 150


def column_stats(values: NDArray[Any]) -> Stats:
    """Return the statistics of frames x components."""
    numbers = np.asarray(values, dtype=np.float64)
    # A value that occurs, as histograms give it, and not one between two of few samples.
    quantiles = np.quantile(numbers, list(QUANTILES.values()), axis=0, method="inverted_cdf")
    return {
        "min": numbers.min(axis=0),
        "max": numbers.max(axis=0),
        "mean": numbers.mean(axis=0),
        "std": numbers.std(axis=0),
        "count": np.array([len(numbers)]),
        **dict(zip(QUANTILES, quantiles, strict=True)),
    }


class PictureStats:
    """Statistics of a camera's pictures, from how often each level occurs in each channel."""

    def __init__(self) -> None:
        self._counts = np.zeros((_CHANNELS, len(_LEVELS)), dtype=np.int64)
        self._pictures = 0

    def add(self, pixels: NDArray[np.uint8]) -> None:
        """Count a picture's pixels."""
        height, width = pixels.shape[:2]
        step = 1
        if max(height, width) >= _LARGEST_KEPT_WHOLE:
            step = (width if width > height else height) // _THINNED_SIZE
        thin = np.ascontiguousarray(pixels[::step, ::step])
        for channel in range(_CHANNELS):
            counts = cv2.calcHist([thin], [channel], None, [len(_LEVELS)], [0, len(_LEVELS)])
            self._counts[channel] += counts.ravel().astype(np.int64)
        self._pictures += 1

    def result(self) -> Stats:
        """Return the statistics, levels from 0 to 1, shaped to be broadcast over C x H x W."""
        total = self._counts.sum(axis=1)
        mean = self._counts @ _LEVELS / total
        square = self._counts @ _LEVELS**2 / total
        seen = self._counts > 0
        below = np.cumsum(self._counts, axis=1)
        stats = {
            "min": seen.argmax(axis=1),
            "max": len(_LEVELS) - 1 - seen[:, ::-1].argmax(axis=1),
            "mean": mean,
            "std": np.sqrt(np.maximum(square - mean**2, 0.0)),
        }
        for name, quantile in QUANTILES.items():
            stats[name] = (below >= quantile * total[:, None]).argmax(axis=1)
        scaled = {name: value.reshape(_CHANNELS, 1, 1) / 255.0 for name, value in stats.items()}
        return {**scaled, "count": np.array([self._pictures])}


def pooled(parts: Sequence[Stats]) -> Stats:
    """Return the statistics of several episodes together.

    All but the quantiles are exact; a quantile is the episodes' mean, weighted by their frames,
    since it cannot be known from theirs. Where the frames are at hand, `column_stats` is better.
    """
    counts = np.array([float(part["count"][0]) for part in parts])
    weights = counts / counts.sum()

    def weighted(values: Sequence[NDArray[Any]]) -> NDArray[Any]:
        return np.tensordot(weights, np.stack(values), axes=1)

    mean = weighted([part["mean"] for part in parts])
    square = weighted([part["std"] ** 2 + (part["mean"] - mean) ** 2 for part in parts])
    return {
        "min": np.min([part["min"] for part in parts], axis=0),
        "max": np.max([part["max"] for part in parts], axis=0),
        "mean": mean,
        "std": np.sqrt(square),
        "count": np.array([int(counts.sum())]),
        **{q: weighted([part[q] for part in parts]) for q in QUANTILES if q in parts[0]},
    }


def as_lists(stats: Mapping[str, Stats], quantiles: bool) -> dict[str, dict[str, Any]]:
    """Return statistics as JSON has them; version 2.1 knows no quantiles."""
    return {
        feature: {
            name: value.tolist()
            for name, value in values.items()
            if quantiles or name not in QUANTILES
        }
        for feature, values in stats.items()
    }


def from_lists(stats: Mapping[str, Mapping[str, Any]]) -> dict[str, Stats]:
    """Return statistics that were kept as JSON."""
    return {
        feature: {name: np.asarray(value) for name, value in values.items()}
        for feature, values in stats.items()
    }
