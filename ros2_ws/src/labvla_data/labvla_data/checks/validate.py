"""`validate`: whether tables, videos and index agree about time and number of frames."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from labvla_data.checks.detectors.videos import facts_of
from labvla_data.checks.verdict import Issue, Severity, report
from labvla_data.dataset.errors import DatasetError
from labvla_data.dataset.layout import INFO
from labvla_data.dataset.reader import Dataset, Episode, open_dataset
from labvla_data.dataset.video import opened
from labvla_data.json_files import JsonFileError, read_json
from labvla_data.parallel import Progress, silent

SAMPLED = 20  # episodes
_FPS_TOLERANCE = 0.01  # of the rate
_FRAMES_TOLERANCE = 1


def validate(folder: Path, progress: Progress = silent) -> dict[str, Any]:
    """Run all validators; return the report."""
    fatal = _stated_fps(folder)
    if fatal:
        return report(str(folder), fatal)
    dataset = open_dataset(folder)
    numbers = [entry.index for entry in dataset.entries]
    chosen = np.unique(np.linspace(0, len(numbers) - 1, min(SAMPLED, len(numbers))).astype(int))
    sample = [dataset.episode(numbers[at]) for at in chosen] if numbers else []
    issues: list[Issue] = []
    if not numbers:
        issues.append(Issue("frame_count", Severity.HIGH, "the dataset has no episode"))
    for done, episode in enumerate(sample, 1):
        issues += _fps_consistency(dataset, episode)
        issues += _frame_count(dataset, episode)
        progress(done, len(sample))
    return report(str(folder), issues + _timestamp_column(dataset, sample))


def _stated_fps(folder: Path) -> list[Issue]:
    """Refuse what cannot be opened for want of a frame rate, before anything else is asked."""
    try:
        info = read_json(folder / INFO)
    except JsonFileError as error:
        raise DatasetError(str(error)) from None
    fps = info.get("fps") if isinstance(info, dict) else None
    if isinstance(fps, int | float) and not isinstance(fps, bool) and fps > 0:
        return []
    return [
        Issue("fps_consistency", Severity.HIGH, f"info.json: expected fps above 0, got {fps!r}")
    ]


def _fps_consistency(dataset: Dataset, episode: Episode) -> list[Issue]:
    """Compare the stated rate with those of videos and of time stamps."""
    issues = []
    for camera, (path, _) in episode.entry.videos.items():
        if not path.is_file() or facts_of(path).error:
            continue  # frame_count says so
        with opened(path) as file:
            rate = file.streams.video[0].average_rate
        if rate and abs(float(rate) - dataset.fps) > _FPS_TOLERANCE * dataset.fps:
            text = f"{camera}: the video has {float(rate):.2f} frames a second, not {dataset.fps:g}"
            issues.append(Issue("fps_consistency", Severity.MED, text, episode.index))
    try:
        steps = np.diff(np.asarray(episode.column("timestamp"), dtype=np.float64).ravel())
    except DatasetError:
        return issues
    if len(steps) and np.median(steps) > 0:
        rate = 1 / float(np.median(steps))
        if abs(rate - dataset.fps) > _FPS_TOLERANCE * dataset.fps:
            text = f"the time stamps say {rate:.2f} frames a second, not {dataset.fps:g}"
            issues.append(Issue("fps_consistency", Severity.MED, text, episode.index))
    return issues


def _timestamp_column(dataset: Dataset, sample: Sequence[Episode]) -> list[Issue]:
    """Look for the column that makes frames and videos agree."""
    if not any((dataset.folder / "data").rglob("*.parquet")):
        return [Issue("timestamp_column", Severity.HIGH, "there is no table under data/")]
    without = [episode.index for episode in sample if _lacks_timestamps(episode)]
    if without:
        text = f"episodes {without} have no column timestamp"
        return [Issue("timestamp_column", Severity.MED, text)]
    return []


def _lacks_timestamps(episode: Episode) -> bool:
    try:
        return not episode.has("timestamp")
    except DatasetError:
        return False  # frame_count says that the table cannot be read


def _frame_count(dataset: Dataset, episode: Episode) -> list[Issue]:
    """Compare the index with the rows of the table and the frames of the videos."""
    grave = Severity.HIGH if dataset.version.startswith("v2") else Severity.MED
    try:
        rows = episode.stored_length
    except DatasetError as error:
        return [Issue("frame_count", Severity.HIGH, str(error), episode.index)]
    issues = []
    if rows != len(episode):
        text = f"the table has {rows} rows, the index says {len(episode)}"
        issues.append(Issue("frame_count", grave, text, episode.index))
    for camera, (path, first) in episode.entry.videos.items():
        known = facts_of(path)
        if known.error:
            issues.append(
                Issue("frame_count", Severity.HIGH, f"{camera}: {known.error}", episode.index)
            )
            continue
        frames = known.packets - first
        # In version 3.0 others may follow in the same file.
        too_long = dataset.version.startswith("v2") and frames > len(episode) + _FRAMES_TOLERANCE
        if frames < len(episode) - _FRAMES_TOLERANCE or too_long:
            text = f"{camera}: the video has {frames} frames, the index says {len(episode)}"
            issues.append(Issue("frame_count", grave, text, episode.index))
        elif frames < len(episode):
            text = f"{camera}: the video is {len(episode) - frames} frame short"
            issues.append(Issue("frame_count", Severity.LOW, text, episode.index))
    return issues
