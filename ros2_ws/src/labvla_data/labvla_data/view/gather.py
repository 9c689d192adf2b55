"""What the page shows, read from a dataset once."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from labvla_data.checks.detectors.motion import gripper_columns
from labvla_data.dataset.errors import DatasetError
from labvla_data.dataset.features import Column
from labvla_data.dataset.reader import Dataset, Episode, as_matrix, open_dataset
from labvla_data.parallel import Progress, silent
from labvla_policy.runtime.types import Array

INTERVENTION = "intervention"
_BINS = 40
_THUMBNAIL_WIDTH = 160
_THUMBNAIL_QUALITY = 75


@dataclass(frozen=True, eq=False)
class Histogram:
    """How often the values of a column occur."""

    name: str
    counts: Array
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class EpisodeView:
    """One episode on the page."""

    number: int
    frames: int
    tasks: Sequence[str]
    known: Mapping[str, Any]
    states: Array
    actions: Array
    interventions: Sequence[tuple[int, int]]  # rows
    thumbnails: Mapping[str, Sequence[tuple[int, str]]]  # by camera: frame, and a data URL
    problem: str = ""  # why something is missing here


@dataclass(frozen=True, eq=False)
class DatasetView:
    """All that the page shows."""

    folder: Path
    version: str
    robot_type: str
    fps: float
    episodes: int
    frames: int
    cameras: Mapping[str, str]
    tasks: Mapping[str, int]  # frames by instruction
    lengths: Histogram
    columns: Mapping[str, Sequence[Histogram]]  # by feature
    names: Sequence[str]  # of the state's columns
    grippers: Sequence[int]
    shown: Sequence[EpisodeView]
    stats_invalidated: bool
    unreadable: Sequence[int]


def gather(
    folder: Path, most_episodes: int, pictures: int, progress: Progress = silent
) -> DatasetView:
    """Read a dataset; show `most_episodes` of it, each with some `pictures` of every camera."""
    dataset = open_dataset(folder)
    numbers = [entry.index for entry in dataset.entries]
    at = np.unique(np.linspace(0, len(numbers) - 1, min(most_episodes, len(numbers))).astype(int))
    chosen = {numbers[place] for place in at} if numbers else set()
    names = [name for m in ("observation.state", "action") if (name := dataset.name_of(m))]
    values: dict[str, list[Array]] = {name: [] for name in names}
    tasks: Counter[str] = Counter()
    shown, unreadable = [], []
    for done, episode in enumerate(dataset, 1):
        try:
            for name, column in episode.columns(names).items():
                values[name].append(as_matrix(column))
            tasks.update(episode.tasks)
        except DatasetError:
            unreadable.append(episode.index)
        if episode.index in chosen:
            shown.append(_view(dataset, episode, names, pictures))
        progress(done, len(dataset))
    lengths = np.array([entry.length for entry in dataset.entries], dtype=np.float64)
    state = dataset.columns.get(names[0]) if names else None
    return DatasetView(
        folder=folder,
        version=dataset.version,
        robot_type=dataset.robot_type,
        fps=dataset.fps,
        episodes=len(dataset),
        frames=dataset.frames,
        cameras={name: f"{p.width} x {p.height}" for name, p in dataset.pictures.items()},
        tasks=dict(tasks.most_common()),
        lengths=_histogram("seconds", lengths / dataset.fps),
        columns={
            name: _histograms(dataset.columns[name], np.concatenate(values[name]))
            for name in names
            if values[name]
        },
        names=state.names if isinstance(state, Column) else (),
        grippers=gripper_columns(dataset),
        shown=shown,
        stats_invalidated=dataset.stats_invalidated,
        unreadable=unreadable,
    )


def _histograms(column: Column, values: Array) -> list[Histogram]:
    return [_histogram(name, part) for name, part in zip(column.names, values.T, strict=False)]


def _histogram(name: str, values: Array) -> Histogram:
    finite = values[np.isfinite(values)]
    if not len(finite):
        return Histogram(name, np.zeros(_BINS), 0.0, 1.0)
    counts, edges = np.histogram(finite, bins=_BINS)
    return Histogram(name, counts.astype(np.float64), float(edges[0]), float(edges[-1]))


def _view(dataset: Dataset, episode: Episode, names: Sequence[str], pictures: int) -> EpisodeView:
    problems: list[str] = []
    empty = np.zeros((0, 0))
    try:
        columns = [as_matrix(column) for column in episode.columns(names).values()]
    except DatasetError as error:
        columns, problems = [], [str(error)]
    thumbnails = {}
    for camera in dataset.pictures:
        try:
            thumbnails[camera] = _thumbnails(episode.pictures(camera), pictures)
        except DatasetError as error:
            problems.append(str(error))
    return EpisodeView(
        number=episode.index,
        frames=len(episode),
        tasks=episode.entry.tasks,
        known=dataset.sidecar.get(episode.index, {}),
        states=columns[0] if columns else empty,
        actions=columns[1] if len(columns) > 1 else empty,
        interventions=_spans(episode),
        thumbnails=thumbnails,
        problem="; ".join(problems),
    )


def _spans(episode: Episode) -> list[tuple[int, int]]:
    """Return from which row to which somebody intervened."""
    try:
        if not episode.has(INTERVENTION):
            return []
        flags = episode.column(INTERVENTION).ravel().astype(np.int8)
    except DatasetError:
        return []
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags, [0]])))
    return [(int(begin), int(end)) for begin, end in edges.reshape(-1, 2)]


def _thumbnails(frames: Sequence[NDArray[np.uint8]], count: int) -> list[tuple[int, str]]:
    wanted = np.unique(np.linspace(0, len(frames) - 1, min(count, len(frames))).astype(int))
    return [(int(number), _data_url(frames[int(number)])) for number in wanted]


def _data_url(pixels: NDArray[np.uint8]) -> str:
    height = max(1, round(pixels.shape[0] * _THUMBNAIL_WIDTH / pixels.shape[1]))
    small = cv2.resize(pixels, (_THUMBNAIL_WIDTH, height), interpolation=cv2.INTER_AREA)
    quality = [cv2.IMWRITE_JPEG_QUALITY, _THUMBNAIL_QUALITY]
    _, data = cv2.imencode(".jpg", small[..., ::-1], quality)
    return f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}"
