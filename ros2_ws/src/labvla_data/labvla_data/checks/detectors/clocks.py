"""Faults of time: stamps that stand still, run backwards, or tell another rate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from labvla_data.checks.findings import Detector, Look, ScanSettings
from labvla_data.dataset.features import STAMPS
from labvla_data.dataset.reader import Dataset, Episode
from labvla_policy.runtime.types import NANOSECONDS

_TOLERANCE = 1e-4  # s, as LeRobot has it


class ClockFaults(Detector):
    """Looks at the time stamps of the frames, and at those of the hardware where they were kept."""

    name = "clock_faults"

    def look(self, episode: Episode, dataset: Dataset, settings: ScanSettings) -> Look:
        """Examine both kinds of stamps."""
        look = Look()
        if episode.has("timestamp") and len(episode) > 1:
            steps = np.diff(episode.column("timestamp").ravel().astype(np.float64))
            wrong = np.abs(steps - 1 / dataset.fps) > _TOLERANCE
            if wrong.any():
                frame = int(wrong.argmax())
                look.find(
                    "timestamp_step",
                    frame=frame + 1,
                    step=round(float(steps[frame]), 6),
                    count=int(wrong.sum()),
                )
        if episode.has(STAMPS) and len(episode) > 1:
            stamps = np.asarray(episode.column(STAMPS), dtype=np.int64).reshape(len(episode), -1)
            self._look_at_hardware(look, stamps, dataset, settings)
        return look

    def _look_at_hardware(
        self, look: Look, stamps: NDArray[np.int64], dataset: Dataset, settings: ScanSettings
    ) -> None:
        column = dataset.columns.get(STAMPS)
        names = column.names if column else ()
        for number, series in enumerate(stamps.T):
            sensor = names[number] if number < len(names) else str(number)
            present = series[series > 0]  # 0 stands for a camera that was masked
            steps = np.diff(present)
            if not len(steps):
                continue
            if (steps < 0).any():
                look.find("stamp_backwards", sensor=sensor, frame=int((steps < 0).argmax()) + 1)
            repeated = int((steps == 0).sum())
            if repeated > 0.1 * len(steps):
                look.find("stamp_repeated", warning=True, sensor=sensor, count=repeated)
            gap = float(steps.max()) / NANOSECONDS
            if gap > 3.5 / dataset.fps:
                look.find(
                    "stamp_gap",
                    warning=True,
                    sensor=sensor,
                    frame=int(steps.argmax()) + 1,
                    seconds=round(gap, 4),
                )
        elapsed = float(stamps[-1, 0] - stamps[0, 0]) / NANOSECONDS
        expected = (len(stamps) - 1) / dataset.fps
        if elapsed > 0 and abs(elapsed - expected) > settings.stamp_share * expected + 0.1:
            rate = (len(stamps) - 1) / elapsed
            look.find("wrong_rate", stated=dataset.fps, true=round(rate, 3))
        shown = np.where(stamps > 0, stamps, stamps[:, :1])
        skew = (shown.max(axis=1) - shown.min(axis=1)) / NANOSECONDS
        if skew.max() > settings.most_skew:
            look.find(
                "skew", warning=True, frame=int(skew.argmax()), seconds=round(float(skew.max()), 4)
            )
