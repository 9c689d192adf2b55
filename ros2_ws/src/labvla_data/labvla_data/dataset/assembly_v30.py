"""LeRobot version 3.0: many episodes in one table and one video, up to a convenient size."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from labvla_data.dataset import tables
from labvla_data.dataset.episode_stats import Stats, as_lists, pooled
from labvla_data.dataset.features import Feature
from labvla_data.dataset.layout import CHUNK_SIZE, INFO, STATS, V30, info_features
from labvla_data.dataset.numbering import Numbered, Vocabulary
from labvla_data.dataset.parts import DatasetSpec, Part
from labvla_data.dataset.placing import place
from labvla_data.dataset.video import join_videos
from labvla_data.json_files import write_json

_MB = 1024**2
_EPISODES_PER_FILE = 1000


def _place_of(number: int) -> dict[str, int]:
    return {"chunk_index": number // CHUNK_SIZE, "file_index": number % CHUNK_SIZE}


class _Table:
    """The table that grows at present."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = -1
        self._path = folder
        self._schema: pa.Schema | None = None
        self._file: pq.ParquetWriter | None = None

    def add(self, part: Part, numbered: Numbered) -> dict[str, int]:
        """Append an episode; return where it stands."""
        if self._file is None or self._path.stat().st_size >= V30.DATA_MB * _MB:
            self.close()
            self._number += 1
            self._path = self._folder / V30.DATA.format(**_place_of(self._number))
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = pq.ParquetWriter(
                self._path, tables.schema(numbered.stored), compression="snappy"
            )
        for table in numbered.tables(part):
            self._file.write_table(table)
        return _place_of(self._number)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class _Video:
    """The video of one camera that grows at present; its parts are joined when it is full."""

    def __init__(self, folder: Path, feature: str, fps: int) -> None:
        self._folder, self._feature, self._fps = folder, feature, fps
        self._number = 0
        self._parts: list[Path] = []
        self._lengths: list[int] = []
        self._size = 0

    def add(self, path: Path, length: int) -> dict[str, int | float]:
        """Append an episode; return where it will stand."""
        size = path.stat().st_size
        if self._parts and self._size + size >= V30.VIDEO_MB * _MB:
            self.close()
            self._number += 1
        begin = sum(self._lengths)
        self._parts.append(path)
        self._lengths.append(length)
        self._size += size
        times = {
            "from_timestamp": begin / self._fps,
            "to_timestamp": (begin + length) / self._fps,
        }
        return {**_place_of(self._number), **times}

    def close(self) -> None:
        """Write the file."""
        if not self._parts:
            return
        names = _place_of(self._number)
        joined = self._folder / V30.VIDEO.format(video_key=self._feature, **names)
        joined.parent.mkdir(parents=True, exist_ok=True)
        if len(self._parts) == 1:
            place(self._parts[0], joined)
        else:
            counts = join_videos(self._parts, joined, self._fps)
            if counts != self._lengths:
                raise RuntimeError(f"{joined}: expected {self._lengths} frames, joined {counts}")
        self._parts, self._lengths, self._size = [], [], 0


class FilesV30:
    """The files of a dataset in the making."""

    def __init__(self, folder: Path, spec: DatasetSpec, features: Mapping[str, Feature]) -> None:
        self._folder, self._spec, self._features = folder, spec, features
        self._table = _Table(folder)
        self._videos = {name: _Video(folder, name, spec.fps) for name in spec.videos}
        self._video_infos: Mapping[str, Mapping[str, Any]] = {}
        self._episodes: list[dict[str, Any]] = []
        self._stats: list[Mapping[str, Stats]] = []

    def add(self, part: Part, numbered: Numbered) -> None:
        """Write an episode."""
        row: dict[str, Any] = {
            "episode_index": numbered.episode,
            "tasks": numbered.tasks,
            "length": part.length,
            "dataset_from_index": numbered.first,
            "dataset_to_index": numbered.first + part.length,
        }
        for key, value in self._table.add(part, numbered).items():
            row[f"data/{key}"] = value
        for name, video in self._videos.items():
            for field, number in video.add(part.video(name), part.length).items():
                row[f"videos/{name}/{field}"] = number
        for feature, stats in as_lists(numbered.stats, quantiles=True).items():
            for name, values in stats.items():
                row[f"stats/{feature}/{name}"] = values
        for key, value in _place_of(numbered.episode // _EPISODES_PER_FILE).items():
            row[f"meta/episodes/{key}"] = value
        self._video_infos = self._video_infos or part.videos
        self._episodes.append(row)
        self._stats.append(numbered.stats)

    def finish(self, tasks: Vocabulary, subtasks: Vocabulary) -> None:
        """Write what concerns all episodes."""
        self._table.close()
        for video in self._videos.values():
            video.close()
        count = len(self._episodes)
        for begin in range(0, count, _EPISODES_PER_FILE):
            names = _place_of(begin // _EPISODES_PER_FILE)
            path = self._folder / V30.EPISODES.format(**names)
            path.parent.mkdir(parents=True, exist_ok=True)
            rows = self._episodes[begin : begin + _EPISODES_PER_FILE]
            pq.write_table(pa.Table.from_pylist(rows), path)
        write_texts(self._folder / V30.TASKS, "task", tasks.texts)
        if subtasks.texts:
            write_texts(self._folder / V30.SUBTASKS, "subtask", subtasks.texts)
        whole = {name: pooled([stats[name] for stats in self._stats]) for name in self._stats[0]}
        write_json(self._folder / STATS, as_lists(whole, quantiles=True))
        info = {
            "codebase_version": "v3.0",
            "robot_type": self._spec.robot_type,
            "total_episodes": count,
            "total_frames": sum(episode["length"] for episode in self._episodes),
            "total_tasks": len(tasks.texts),
            "chunks_size": CHUNK_SIZE,
            "data_files_size_in_mb": V30.DATA_MB,
            "video_files_size_in_mb": V30.VIDEO_MB,
            "fps": self._spec.fps,
            "splits": {"train": f"0:{count}"},
            "data_path": V30.DATA,
            "video_path": V30.VIDEO if self._spec.videos else None,
            "features": info_features(self._features, self._spec.images, self._video_infos),
        }
        write_json(self._folder / INFO, info)


def write_texts(path: Path, name: str, texts: list[str]) -> None:
    """Write texts and their numbers as a table that pandas reads with the texts as its index."""
    number = f"{name}_index"
    columns = [
        {"name": number, "field_name": number, "pandas_type": "int64", "numpy_type": "int64"},
        {"name": name, "field_name": name, "pandas_type": "unicode", "numpy_type": "object"},
    ]
    notes = {
        "index_columns": [name],
        "column_indexes": [],
        "columns": [{**column, "metadata": None} for column in columns],
        "creator": {"library": "pyarrow", "version": pa.__version__},
    }
    schema = pa.schema(
        [(number, pa.int64()), (name, pa.string())], metadata={"pandas": json.dumps(notes)}
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table({number: list(range(len(texts))), name: texts}, schema=schema)
    pq.write_table(table, path)
