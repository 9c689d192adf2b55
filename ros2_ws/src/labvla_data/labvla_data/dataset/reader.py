"""Reads datasets of both versions through one face: episode by episode, pictures as they are used.

dataset = open_dataset(folder)
for episode in dataset:
    states = episode.column("observation.state")  # frames x columns
    first = episode.pictures("observation.images.front")[0]  # height x width x 3, red first
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labvla_data.dataset import index_v21, index_v30, robot_schema
from labvla_data.dataset.episode_stats import Stats
from labvla_data.dataset.errors import DatasetError
from labvla_data.dataset.features import COUNTERS, SUBTASK_INDEX, Column, Feature, Picture
from labvla_data.dataset.index import EpisodeEntry, Index
from labvla_data.dataset.layout import (
    INFO,
    INVALIDATED_FLAG,
    NORM_STATS,
    SIDECAR,
    features_of_info,
)
from labvla_data.dataset.table_file import PngFrames, TableFile
from labvla_data.dataset.video import Pixels, VideoFrames
from labvla_data.json_files import JsonFileError, read_json, read_lines

# Converters do not agree on names; the first one that a dataset has is meant.
ALIASES: dict[str, tuple[str, ...]] = {
    "observation.state": ("observation.state", "state"),
    "action": ("action", "actions"),
}
_FIRST_MAJOR, _LAST_MAJOR = 2, 3


class Episode:
    """One episode; nothing is read before it is asked for."""

    def __init__(self, dataset: Dataset, entry: EpisodeEntry) -> None:
        self._dataset, self.entry = dataset, entry
        self._table = TableFile(entry.table, entry.index, entry.rows_before)

    @property
    def index(self) -> int:
        """Its number in the dataset."""
        return self.entry.index

    def __len__(self) -> int:
        return self.entry.length

    @property
    def stored_length(self) -> int:
        """Frames in the table, whatever the dataset's index says."""
        return self._table.length

    def column(self, name: str) -> NDArray[Any]:
        """Return a column as frames x components, a text column as frames."""
        return self.columns([name])[name]

    def columns(self, names: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Return several columns, read in one go."""
        missing = [name for name in names if name not in self._table.names]
        if missing:
            raise DatasetError(
                f"{self.entry.table}: expected the columns {', '.join(missing)}; it has "
                f"{', '.join(self._table.names)}"
            )
        return self._table.columns(names)

    def has(self, name: str) -> bool:
        """Whether the table has a column."""
        return name in self._table.names

    @property
    def tasks(self) -> list[str]:
        """The instruction of every frame."""
        if "task_index" not in self._table.names:
            return [self.entry.tasks[0] if self.entry.tasks else ""] * len(self)
        numbers = self.column("task_index").ravel()
        return [self._dataset.task(int(number)) for number in numbers]

    @property
    def subtasks(self) -> list[str]:
        """The step of every frame; empty texts where nobody named any."""
        if SUBTASK_INDEX not in self._table.names:
            return [""] * len(self)
        numbers = self.column(SUBTASK_INDEX).ravel()
        return [self._dataset.subtasks[int(number)] for number in numbers]

    def pictures(self, feature: str) -> Sequence[Pixels]:
        """Return a camera's pictures."""
        if feature in self.entry.videos:
            path, first = self.entry.videos[feature]
            return VideoFrames(path, first, self.entry.length, self._dataset.fps)
        if feature in self._table.names:
            return PngFrames(self._table, feature)
        raise DatasetError(
            f"episode {self.index}: expected pictures {feature}; the dataset has "
            f"{', '.join(self._dataset.pictures) or 'none'}"
        )


class Dataset:
    """An opened dataset."""

    def __init__(self, folder: Path, info: Mapping[str, Any], index: Index) -> None:
        self.folder, self.info, self._index = folder, info, index
        self.features: dict[str, Feature] = features_of_info(info["features"])
        self.entries = index.entries
        self._by_number = {entry.index: entry for entry in self.entries}

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[Episode]:
        return (Episode(self, entry) for entry in self.entries)

    def episode(self, number: int) -> Episode:
        """Return an episode by its number."""
        if number not in self._by_number:
            raise DatasetError(f"{self.folder}: there is no episode {number}")
        return Episode(self, self._by_number[number])

    @property
    def version(self) -> str:
        """The version of the format, as the dataset says it."""
        return str(self.info["codebase_version"])

    @property
    def fps(self) -> float:
        """Frames a second."""
        return float(self.info["fps"])

    @property
    def robot_type(self) -> str:
        """What the dataset calls its robot."""
        return str(self.info.get("robot_type") or "unknown")

    @property
    def frames(self) -> int:
        """Frames in all episodes, by the index."""
        return sum(entry.length for entry in self.entries)

    @property
    def pictures(self) -> dict[str, Picture]:
        """The features that are pictures."""
        return {name: f for name, f in self.features.items() if isinstance(f, Picture)}

    @property
    def videos(self) -> tuple[str, ...]:
        """The pictures that are stored as videos."""
        described = self.info["features"]
        return tuple(name for name in self.pictures if described[name]["dtype"] == "video")

    @property
    def columns(self) -> dict[str, Column]:
        """The features that are no pictures, without the counters."""
        return {
            name: f
            for name, f in self.features.items()
            if isinstance(f, Column) and name not in COUNTERS
        }

    def name_of(self, meaning: str) -> str | None:
        """Return what the dataset calls `observation.state` or `action`, if it has it."""
        return next((name for name in ALIASES[meaning] if name in self.features), None)

    def task(self, number: int) -> str:
        """Return an instruction by its number; an unknown one is an empty text."""
        return self._index.tasks.get(number, "")

    @property
    def tasks(self) -> Mapping[int, str]:
        """All instructions by their numbers."""
        return self._index.tasks

    @property
    def subtasks(self) -> Mapping[int, str]:
        """All steps by their numbers."""
        return self._index.subtasks

    def stats(self, number: int) -> dict[str, Stats]:
        """Return LeRobot's statistics of an episode; empty where there are none."""
        return self._index.stats(number)

    @property
    def stats_episodes(self) -> frozenset[int]:
        """The numbers for which there are statistics, also those without an episode."""
        return self._index.stats_episodes

    @property
    def stats_invalidated(self) -> bool:
        """Whether episodes were taken out since the statistics were computed."""
        return bool(self.info.get(INVALIDATED_FLAG))

    @cached_property
    def schema(self) -> robot_schema.RobotSchema | None:
        """What the columns mean to LabVLA; None where the dataset does not say it."""
        for name, read in (
            (robot_schema.MANIFEST, robot_schema.of_manifest),
            (robot_schema.SCHEMA, robot_schema.of_schema),
        ):
            if (self.folder / name).exists():
                return read(_json(self.folder / name), str(self.folder / name))
        return None

    @cached_property
    def norm_stats(self) -> Mapping[str, Any] | None:
        """LabVLA's normalisation statistics, if the dataset has them."""
        path = self.folder / NORM_STATS
        return dict(_json(path)) if path.exists() else None

    @cached_property
    def sidecar(self) -> Mapping[int, Mapping[str, Any]]:
        """What is known about episodes besides their frames, by their numbers."""
        path = self.folder / SIDECAR
        if not path.exists():
            return {}
        try:
            return {line["episode_index"]: line for line in read_lines(path)}
        except (JsonFileError, KeyError, TypeError) as error:
            raise DatasetError(f"{path}: {error}") from None


def open_dataset(folder: Path) -> Dataset:
    """Open a dataset of version 2 or 3."""
    if not (folder / INFO).is_file():
        raise DatasetError(f"{folder}: expected a dataset with {INFO}, there is none")
    info = _json(folder / INFO)
    missing = [
        key for key in ("codebase_version", "fps", "features", "data_path") if key not in info
    ]
    if missing:
        raise DatasetError(f"{folder / INFO}: missing: {', '.join(missing)}")
    if not isinstance(info["fps"], int | float) or not info["fps"] > 0:
        raise DatasetError(f"{folder / INFO}: expected fps above 0, got {info['fps']!r}")
    major = _major(str(info["codebase_version"]))
    if not _FIRST_MAJOR <= major <= _LAST_MAJOR:
        raise DatasetError(
            f"{folder}: expected version 2 or 3 of the format, got {info['codebase_version']!r}"
        )
    if not isinstance(info["features"], dict):
        raise DatasetError(f"{folder / INFO}: expected features by name, got {info['features']!r}")
    reader = index_v21 if major == _FIRST_MAJOR else index_v30
    try:
        return Dataset(folder, info, reader.read(folder, info))
    except (JsonFileError, KeyError, TypeError, ValueError, OSError) as error:
        raise DatasetError(f"{folder}: its index cannot be read: {error!r}") from None


def _major(version: str) -> int:
    digits = version.removeprefix("v").partition(".")[0]
    return int(digits) if digits.isdigit() else -1


def _json(path: Path) -> Any:
    try:
        return read_json(path)
    except JsonFileError as error:
        raise DatasetError(str(error)) from None


def as_matrix(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return a column of numbers as frames x components."""
    matrix = np.asarray(values, dtype=np.float64)
    return matrix[:, None] if matrix.ndim == 1 else matrix
