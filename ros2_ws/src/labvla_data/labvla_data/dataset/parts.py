"""One episode as it comes out of an exporter or a simulator: a folder that is whole or absent.

Parts are what can be written side by side and kept when a run is interrupted; a dataset is put
together from them at the end.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from labvla_data.dataset import png, tables
from labvla_data.dataset.episode_stats import (
    PictureStats,
    Stats,
    as_lists,
    column_stats,
    from_lists,
)
from labvla_data.dataset.errors import DatasetError, writing
from labvla_data.dataset.features import (
    Column,
    Features,
    Picture,
    PictureFormat,
    check_features,
    checked,
    columns,
    pictures,
)
from labvla_data.dataset.video import VideoSettings, VideoWriter, video_info
from labvla_data.json_files import read_json, write_json

FRAMES = "frames.parquet"
PART = "part.json"
TASK, SUBTASK = "task", "subtask"
_TEXT = Column("string", ("text",))
_ROWS_AT_ONCE = 64  # with three PNG cameras some 60 MB
# Time stamps are 32-bit floats in both versions; beyond this two of them no longer differ by one
# frame's time to within the 0.1 ms that LeRobot tolerates.
_LONGEST = 1024.0  # s


@dataclass(frozen=True)
class DatasetSpec:
    """What all episodes of a dataset have in common."""

    features: Features
    fps: int
    images: PictureFormat = "video"
    video: VideoSettings = field(default_factory=VideoSettings)
    robot_type: str = "unknown"

    def __post_init__(self) -> None:
        if not isinstance(self.fps, int) or self.fps < 1:
            raise DatasetError(f"expected a whole number of frames a second, got {self.fps!r}")
        check_features(self.features, self.images)

    @property
    def videos(self) -> dict[str, Picture]:
        """The features that are stored as videos."""
        return pictures(self.features) if self.images == "video" else {}

    @property
    def in_table(self) -> dict[str, Column | Picture]:
        """The features that are stored in Parquet."""
        return {name: f for name, f in self.features.items() if name not in self.videos}


@dataclass(frozen=True)
class Part:
    """A finished episode."""

    folder: Path
    length: int
    stats: Mapping[str, Stats]
    videos: Mapping[str, Mapping[str, Any]]  # what info.json says about each
    metadata: Mapping[str, Any]  # what is known about the episode besides its frames

    @property
    def frames(self) -> pq.ParquetFile:
        """The table of its frames; who opens it closes it."""
        return pq.ParquetFile(self.folder / FRAMES)

    def video(self, feature: str) -> Path:
        """Return a camera's video."""
        return self.folder / f"{feature}.mp4"


def read_part(folder: Path) -> Part:
    """Read a finished part."""
    content = read_json(folder / PART)
    return Part(
        folder,
        content["length"],
        from_lists(content["stats"]),
        content["videos"],
        content["metadata"],
    )


class PartWriter:
    """An episode in the making, beside its final place until `finish`."""

    def __init__(self, folder: Path, spec: DatasetSpec) -> None:
        self._final, self._spec = folder, spec
        self._folder = folder.with_name(f".{folder.name}.new")
        with writing(self._folder):
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder.mkdir(parents=True)
            self._table = pq.ParquetWriter(
                self._folder / FRAMES,
                tables.schema({**spec.in_table, TASK: _TEXT, SUBTASK: _TEXT}),
                compression="snappy",
            )
        self._videos = {
            name: VideoWriter(
                self._folder / f"{name}.mp4", picture.height, picture.width, spec.fps, spec.video
            )
            for name, picture in spec.videos.items()
        }
        self._numbers: dict[str, list[NDArray[Any]]] = {
            name: [] for name, column in columns(spec.features).items() if column.dtype != "string"
        }
        self._pictures = {name: PictureStats() for name in pictures(spec.features)}
        self._rows: list[dict[str, Any]] = []
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def add(self, frame: Mapping[str, Any], task: str, subtask: str = "") -> None:
        """Append a frame."""
        features = self._spec.features
        if set(frame) != set(features):
            missing, extra = set(features) - set(frame), set(frame) - set(features)
            raise DatasetError(
                f"frame {self._length}: expected the features of the dataset; missing: "
                f"{', '.join(sorted(missing)) or 'none'}; not known: "
                f"{', '.join(sorted(extra)) or 'none'}"
            )
        if self._length >= _LONGEST * self._spec.fps:
            raise DatasetError(
                f"an episode of more than {_LONGEST:.0f} s: its 32-bit time stamps could no longer "
                "tell frames apart; split the recording"
            )
        values = {name: checked(name, features[name], value) for name, value in frame.items()}
        row: dict[str, Any] = {TASK: task, SUBTASK: subtask}
        for name, value in values.items():
            if name in self._pictures:
                self._pictures[name].add(value)
            if name in self._videos:
                self._videos[name].add(value)
            else:
                row[name] = png.encode(value) if name in self._pictures else value
        for name, kept in self._numbers.items():
            kept.append(values[name])
        self._rows.append(row)
        self._length += 1
        if len(self._rows) == _ROWS_AT_ONCE:
            self._flush()

    def finish(self, metadata: Mapping[str, Any] | None = None) -> Part:
        """Complete the episode; it stands in its place when this returns."""
        if self._length == 0:
            raise DatasetError("an episode without a frame")
        self._flush()
        with writing(self._folder):
            self._table.close()
        for video in self._videos.values():
            video.finish()
        stats = {name: column_stats(np.stack(kept)) for name, kept in self._numbers.items()}
        stats.update({name: kept.result() for name, kept in self._pictures.items()})
        content = {
            "length": self._length,
            "stats": as_lists(stats, quantiles=True),
            "videos": {name: video_info(video.path) for name, video in self._videos.items()},
            "metadata": dict(metadata or {}),
        }
        with writing(self._final):
            write_json(self._folder / PART, content)
            self._folder.rename(self._final)
        return read_part(self._final)

    def abandon(self) -> None:
        """Throw the episode away."""
        for video in self._videos.values():
            video.abandon()
        with suppress(OSError):  # the disk may be full; what is written is deleted anyway
            self._table.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _flush(self) -> None:
        if not self._rows:
            return
        rows, self._rows = self._rows, []
        arrays: dict[str, pa.Array] = {}
        for name in (*self._spec.in_table, TASK, SUBTASK):
            values = [row[name] for row in rows]
            feature = self._spec.in_table.get(name, _TEXT)
            if isinstance(feature, Picture):
                arrays[name] = tables.png(values)
            elif feature.dtype == "string":
                arrays[name] = tables.texts(values)
            else:
                arrays[name] = tables.numbers(feature, np.stack(values))
        with writing(self._folder / FRAMES):
            self._table.write_table(pa.table(arrays, schema=self._table.schema))
