"""Faults of tables and statistics: lengths, widths, numbers that are none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from labvla_data.checks.detectors.videos import facts_of
from labvla_data.checks.findings import Detector, Look, Overview, ScanSettings
from labvla_data.dataset.features import Column
from labvla_data.dataset.reader import Dataset, Episode


class StatsOrphans(Detector):
    """Statistics without an episode."""

    name = "stats_orphans"

    def overview(
        self, dataset: Dataset, facts: Mapping[int, Mapping[str, Any]], settings: ScanSettings
    ) -> Overview:
        """Compare the numbers."""
        overview = Overview()
        for number in sorted(dataset.stats_episodes - {entry.index for entry in dataset.entries}):
            overview.find(number, "orphan_stats_entry", warning=True)
        return overview


class ActionDimCap(Detector):
    """States or actions that are wider than the model."""

    name = "action_dim_cap"

    def overview(
        self, dataset: Dataset, facts: Mapping[int, Mapping[str, Any]], settings: ScanSettings
    ) -> Overview:
        """Compare the widths."""
        overview = Overview()
        for meaning, cap in (
            ("observation.state", settings.widest_state),
            ("action", settings.widest_action),
        ):
            name = dataset.name_of(meaning)
            feature = dataset.features.get(name) if name else None
            if feature is None:
                overview.incompatible.append(f"there is no feature {meaning}")
            elif isinstance(feature, Column) and feature.width > cap:
                overview.incompatible.append(
                    f"{name} has {feature.width} columns, expected at most {cap}"
                )
        return overview


class Lengths(Detector):
    """Tables and videos that are shorter or longer than the index says."""

    name = "lengths"

    def look(self, episode: Episode, dataset: Dataset, settings: ScanSettings) -> Look:
        """Count rows and frames."""
        look = Look()
        rows = episode.stored_length
        if rows != len(episode):
            look.find("row_count", rows=rows, expected=len(episode))
        for camera, (path, first) in episode.entry.videos.items():
            if not path.is_file() or facts_of(path).error:
                continue
            frames = facts_of(path).packets - first
            if settings.stub_packets < facts_of(path).packets and frames < len(episode):
                look.find("video_too_short", camera=camera, frames=frames, expected=len(episode))
        return look


class NotFinite(Detector):
    """Numbers that are NaN or infinite."""

    name = "not_finite"

    def look(self, episode: Episode, dataset: Dataset, settings: ScanSettings) -> Look:
        """Look at all columns."""
        look = Look()
        names = [
            name
            for name, column in dataset.columns.items()
            if column.dtype in ("float32", "float64") and episode.has(name)
        ]
        for name, values in episode.columns(names).items():
            bad = ~np.isfinite(values.reshape(len(values), -1))
            if bad.any():
                frame, column = (int(at) for at in np.argwhere(bad)[0])
                look.find(
                    "not_finite", column=name, component=column, frame=frame, count=int(bad.sum())
                )
        return look
