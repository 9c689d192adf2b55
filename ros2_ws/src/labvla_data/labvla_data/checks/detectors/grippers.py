"""Grippers that do the opposite of what they are told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from labvla_data.checks.detectors.motion import gripper_columns, motion_of
from labvla_data.checks.findings import Detector, Look, Overview, ScanSettings
from labvla_data.dataset.reader import Dataset, Episode
from labvla_policy.runtime.types import Array

_LAGS = (0.0, 0.1, 0.2, 0.4)  # s that a gripper may need
_OPPOSITE = -0.5  # correlation
_WIDEST = 0.2  # m; no gripper's width is more, so the unit is another one


class GripperPolarity(Detector):
    """Compares what a gripper is told with what it does."""

    name = "gripper_polarity"

    def look(self, episode: Episode, dataset: Dataset, settings: ScanSettings) -> Look:
        """Correlate action and state."""
        look = Look()
        motion = motion_of(episode, dataset)
        if motion is None:
            return look
        states, actions = motion
        for column in gripper_columns(dataset):
            if column >= states.shape[1]:
                continue
            told, done = actions[:, column], states[:, column]
            agreement = _agreement(told, done, dataset.fps)
            if agreement is not None and agreement < _OPPOSITE:
                look.find("gripper_inverted", column=column, correlation=round(agreement, 3))
            look.facts[str(column)] = [float(min(told.min(), done.min())), float(done.max())]
        return look

    def overview(
        self, dataset: Dataset, facts: Mapping[int, Mapping[str, Any]], settings: ScanSettings
    ) -> Overview:
        """Check the range against the meaning that the dataset declares."""
        overview = Overview()
        if dataset.schema is None:
            return overview
        meaning = dataset.schema.gripper_semantic
        widest = {"width": _WIDEST, "open_fraction": 1.1, "binary": 1.1}.get(meaning)
        if widest is None:
            return overview
        for column in sorted({column for known in facts.values() for column in known}):
            high = max(known[column][1] for known in facts.values() if column in known)
            if high > widest:
                overview.incompatible.append(
                    f"gripper column {column} reaches {high:.3g}, expected at most {widest:g} for "
                    f"{meaning}"
                )
        return overview


def _agreement(told: Array, done: Array, fps: float) -> float | None:
    """Return the best correlation over the lags; None where the gripper hardly moves."""
    if np.ptp(told) < 1e-4 or np.ptp(done) < 1e-4:
        return None
    found = []
    for lag in _LAGS:
        frames = round(lag * fps)
        a, b = told[: len(told) - frames], done[frames:]
        if len(a) > 2 and np.ptp(a) > 0 and np.ptp(b) > 0:
            found.append(float(np.corrcoef(a, b)[0, 1]))
    return max(found) if found else None
