"""The index of version 3.0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from labvla_data.dataset.episode_stats import Stats
from labvla_data.dataset.index import EpisodeEntry
from labvla_data.dataset.layout import V30

_STATS = "stats/"
_UNNAMED_INDEX = "__index_level_0__"  # what pandas calls an index without a name


@dataclass(frozen=True, eq=False)
class IndexV30:
    """Tables of episodes."""

    entries: tuple[EpisodeEntry, ...]
    tasks: Mapping[int, str]
    subtasks: Mapping[int, str]
    tables: tuple[Path, ...]
    stats_episodes: frozenset[int]

    def stats(self, number: int) -> dict[str, Stats]:
        """Return an episode's statistics."""
        for path in self.tables:
            with pq.ParquetFile(path) as file:
                names = [name for name in file.schema_arrow.names if name.startswith(_STATS)]
            found = pq.read_table(
                path, columns=names, filters=[("episode_index", "==", number)]
            ).to_pylist()
            if found:
                return _nested(found[0])
        return {}


def _nested(row: Mapping[str, Any]) -> dict[str, Stats]:
    stats: dict[str, Stats] = {}
    for name, values in row.items():
        feature, _, statistic = name.removeprefix(_STATS).rpartition("/")
        if values is not None:
            stats.setdefault(feature, {})[statistic] = np.asarray(values)
    return stats


def read(folder: Path, info: Mapping[str, Any]) -> IndexV30:
    """Read the index."""
    videos = [name for name, f in info["features"].items() if f["dtype"] == "video"]
    tables = tuple(sorted((folder / "meta" / "episodes").glob("chunk-*/file-*.parquet")))
    if not tables:
        raise FileNotFoundError(f"{folder}: expected meta/episodes/chunk-*/file-*.parquet")
    rows: list[dict[str, Any]] = []
    has_stats = False
    for path in tables:
        with pq.ParquetFile(path) as file:
            names = [name for name in file.schema_arrow.names if not name.startswith(_STATS)]
            has_stats = has_stats or len(names) < len(file.schema_arrow.names)
            rows += file.read(columns=names).to_pylist()
    entries = tuple(
        _entry(folder, info, videos, row)
        for row in sorted(rows, key=lambda row: int(row["episode_index"]))
    )
    return IndexV30(
        entries,
        _texts(folder / V30.TASKS, "task"),
        _texts(folder / V30.SUBTASKS, "subtask"),
        tables,
        frozenset(entry.index for entry in entries) if has_stats else frozenset(),
    )


def _entry(
    folder: Path, info: Mapping[str, Any], videos: list[str], row: Mapping[str, Any]
) -> EpisodeEntry:
    def path(template: str, prefix: str, **more: str) -> Path:
        places = {key: int(row[f"{prefix}/{key}"]) for key in ("chunk_index", "file_index")}
        return folder / template.format(**places, **more)

    return EpisodeEntry(
        index=int(row["episode_index"]),
        length=int(row["length"]),
        tasks=tuple(row.get("tasks") or ()),
        table=path(info["data_path"], "data"),
        rows_before=int(row["dataset_from_index"]),
        videos={
            name: (
                path(info["video_path"], f"videos/{name}", video_key=name),
                round(float(row[f"videos/{name}/from_timestamp"]) * float(info["fps"])),
            )
            for name in videos
        },
    )


def _texts(path: Path, name: str) -> dict[int, str]:
    if not path.exists():
        return {}
    table: pa.Table = pq.read_table(path)
    column = next((c for c in (name, _UNNAMED_INDEX) if c in table.column_names), None)
    if column is None:
        raise ValueError(f"{path}: expected a column {name}, got {table.column_names}")
    numbers = table[f"{name}_index"].to_pylist()
    return dict(zip(map(int, numbers), map(str, table[column].to_pylist()), strict=True))
