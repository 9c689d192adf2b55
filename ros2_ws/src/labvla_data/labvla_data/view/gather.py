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
from labvla_data.dataset.features import INTERVENTION, Column
from labvla_data.dataset.reader import Dataset, Episode, as_matrix, open_dataset
from labvla_data.export.command import REPORT
from labvla_data.json_files import JsonFileError, read_json
from labvla_data.parallel import Progress, silent
from labvla_policy.runtime.types import Array

_BINS, _LENGTH_BINS = 40, 16
_THUMBNAIL_WIDTH = 160
_THUMBNAIL_QUALITY = 70


@dataclass(frozen=True, eq=False)
class Histogram:
    """How often the values of a column occur."""

    name: str
    counts: Array
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Motion:
    """A column's state and action over one episode; either may be missing."""

    name: str
    state: Array | None
    action: Array | None


@dataclass(frozen=True, eq=False)
class EpisodeView:
    """One episode on the page."""

    number: int
    frames: int
    tasks: Sequence[str]
    known: Mapping[str, Any]
    joints: Sequence[Sequence[Motion]]  # of one arm after the other
    grippers: Sequence[Motion]
    interventions: Sequence[tuple[int, int]]  # rows
    thumbnails: Mapping[str, Sequence[tuple[int, str]]]  # by camera: frame, and a data URL
    problems: Sequence[str] = ()  # why something is missing here


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
    interventions: int | None  # frames; None where nobody has noted any
    lengths: Histogram
    columns: Mapping[str, Sequence[Histogram]]  # by feature
    still: Mapping[str, Sequence[str]]  # by feature: columns that never change
    shown: Sequence[EpisodeView]
    refused: Sequence[Mapping[str, str]]  # bags that the export has left out: bag, reason, detail
    stats_invalidated: bool
    unreadable: Mapping[int, str]  # why, by episode


def gather(
    folder: Path, most_episodes: int, pictures: int, progress: Progress = silent
) -> DatasetView:
    """Read a dataset; show `most_episodes` of it, each with some `pictures` of every camera."""
    dataset = open_dataset(folder)
    chosen = {dataset.entries[place].index for place in _spread(len(dataset), most_episodes)}
    meanings = {m: name for m in ("observation.state", "action") if (name := dataset.name_of(m))}
    values: dict[str, list[Array]] = {name: [] for name in meanings.values()}
    tasks: Counter[str] = Counter()
    flagged, shown, unreadable = 0, [], {}
    for done, episode in enumerate(dataset, 1):
        try:
            for name, column in episode.columns(list(values)).items():
                values[name].append(as_matrix(column))
            tasks.update(episode.tasks)
            flagged += sum(end - begin for begin, end in _interventions(episode))
        except DatasetError as error:
            unreadable[episode.index] = str(error)
        if episode.index in chosen:
            shown.append(_EpisodeReader(dataset, episode, meanings).view(pictures))
        progress(done, len(dataset))
    lengths = np.array([entry.length for entry in dataset.entries], dtype=np.float64)
    histograms = {
        name: _histograms(_names(dataset, name), np.concatenate(parts))
        for name, parts in values.items()
        if parts
    }
    return DatasetView(
        folder=folder,
        version=dataset.version,
        robot_type=dataset.robot_type,
        fps=dataset.fps,
        episodes=len(dataset),
        frames=dataset.frames,
        cameras={name: f"{p.width} x {p.height}" for name, p in dataset.pictures.items()},
        tasks=dict(tasks.most_common()),
        interventions=flagged if INTERVENTION in dataset.columns else None,
        lengths=_histogram("seconds", lengths / dataset.fps, _LENGTH_BINS),
        columns={n: [h for h in found if h.high > h.low] for n, found in histograms.items()},
        still={n: [h.name for h in found if h.high == h.low] for n, found in histograms.items()},
        shown=shown,
        refused=_refused(folder / REPORT),
        stats_invalidated=dataset.stats_invalidated,
        unreadable=unreadable,
    )


def _spread(whole: int, wanted: int) -> list[int]:
    """Return so many places, evenly from the first to the last."""
    places = np.linspace(0, whole - 1, min(whole, wanted)).round().astype(int)
    return sorted(set(places.tolist()))


def _refused(report: Path) -> list[Mapping[str, str]]:
    """Return what the export of the dataset has left out, if it was exported here."""
    if not report.exists():
        return []
    try:
        return [
            {key: str(entry[key]) for key in ("bag", "reason", "detail")}
            for entry in read_json(report)["refused"]
        ]
    except (JsonFileError, KeyError, TypeError) as error:
        raise DatasetError(f"{report}: expected a report of `labvla export`: {error!r}") from None


def _names(dataset: Dataset, feature: str) -> Sequence[str]:
    column = dataset.features[feature]
    return column.names if isinstance(column, Column) else ()


def _histograms(names: Sequence[str], values: Array) -> list[Histogram]:
    return [_histogram(name, part) for name, part in zip(names, values.T, strict=False)]


def _histogram(name: str, values: Array, bins: int = _BINS) -> Histogram:
    finite = values[np.isfinite(values)]
    if not len(finite):
        return Histogram(name, np.zeros(bins), 0.0, 0.0)
    low, high = float(finite.min()), float(finite.max())
    counts, _ = np.histogram(finite, bins=bins)
    return Histogram(name, counts.astype(np.float64), low, high)


def _interventions(episode: Episode) -> list[tuple[int, int]]:
    """Return from which row to which somebody intervened."""
    if not episode.has(INTERVENTION):
        return []
    flags = episode.column(INTERVENTION).ravel().astype(np.int8)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags, [0]])))
    return [(int(begin), int(end)) for begin, end in edges.reshape(-1, 2)]


class _EpisodeReader:
    """Reads what can be read of an episode, and notes what cannot."""

    def __init__(self, dataset: Dataset, episode: Episode, meanings: Mapping[str, str]) -> None:
        self._dataset, self._episode, self._meanings = dataset, episode, meanings
        self._problems: list[str] = []

    def view(self, pictures: int) -> EpisodeView:
        """Read it, with so many pictures of every camera."""
        episode = self._episode
        joints, grippers = self._motions()
        return EpisodeView(
            number=episode.index,
            frames=len(episode),
            tasks=episode.entry.tasks,
            known=self._dataset.sidecar.get(episode.index, {}),
            joints=joints,
            grippers=grippers,
            interventions=self._spans(),
            thumbnails={
                camera: found
                for camera in self._dataset.pictures
                if (found := self._thumbnails(camera, pictures))
            },
            problems=self._problems,
        )

    def _motions(self) -> tuple[list[list[Motion]], list[Motion]]:
        """Return the joints of every arm, and all grippers: their units differ.

        Where arms follow one another, a gripper ends each.
        """
        try:
            columns = self._episode.columns(list(self._meanings.values()))
        except DatasetError as error:
            self._problems.append(str(error))
            return [], []
        parts = {m: as_matrix(columns[name]) for m, name in self._meanings.items()}
        widest = max(parts, key=lambda meaning: parts[meaning].shape[1], default="")
        names = _names(self._dataset, self._meanings[widest]) if widest else ()
        ends = gripper_columns(self._dataset)
        arms: list[list[Motion]] = [[]]
        grippers: list[Motion] = []
        for column, name in enumerate(names):
            state, action = (_part(parts.get(m), column) for m in ("observation.state", "action"))
            motion = Motion(name, state, action)
            if column in ends:
                grippers.append(motion)
                arms.append([])
            elif any(values is not None and np.ptp(values) > 0 for values in (state, action)):
                arms[-1].append(motion)
        return [arm for arm in arms if arm], grippers

    def _spans(self) -> list[tuple[int, int]]:
        try:
            return _interventions(self._episode)
        except DatasetError:
            return []  # the motions have said why

    def _thumbnails(self, camera: str, count: int) -> list[tuple[int, str]]:
        try:
            frames = self._episode.pictures(camera)
            return [(number, _data_url(frames[number])) for number in _spread(len(frames), count)]
        except DatasetError as error:
            self._problems.append(str(error))
            return []


def _part(values: Array | None, column: int) -> Array | None:
    return values[:, column] if values is not None and column < values.shape[1] else None


def _data_url(pixels: NDArray[np.uint8]) -> str:
    height = max(1, round(pixels.shape[0] * _THUMBNAIL_WIDTH / pixels.shape[1]))
    small = cv2.resize(pixels, (_THUMBNAIL_WIDTH, height), interpolation=cv2.INTER_AREA)
    quality = [cv2.IMWRITE_JPEG_QUALITY, _THUMBNAIL_QUALITY]
    _, data = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), quality)
    return f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}"
