"""Copies episodes of version 3.0 under new numbers.

A file keeps its name; episodes that are left out are missing from tables, and remain in videos,
where nobody refers to them any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from labvla_data.checks.renumbering import Place, renumbered, stats_of_place
from labvla_data.dataset.episode_stats import Stats, as_lists, from_lists, pooled
from labvla_data.dataset.index import EpisodeEntry
from labvla_data.dataset.layout import INFO, STATS
from labvla_data.dataset.reader import Dataset
from labvla_data.json_files import write_json
from labvla_data.parallel import Progress, run_parallel

_STATS = "stats/"


@dataclass(frozen=True)
class _Task:
    source: Path
    target: Path
    places: tuple[Place, ...]


def copy(
    dataset: Dataset,
    kept: Sequence[EpisodeEntry],
    folder: Path,
    workers: int | None,
    progress: Progress,
) -> None:
    """Write tables, links to videos, and the index."""
    places: dict[int, Place] = {}
    by_table: dict[Path, list[Place]] = {}
    first = 0
    for number, entry in enumerate(kept):
        place = Place(entry.index, number, first, entry.length)
        places[entry.index] = place
        by_table.setdefault(entry.table, []).append(place)
        first += entry.length
        for video, _ in entry.videos.values():
            link = folder / video.relative_to(dataset.folder)
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.is_symlink():
                link.symlink_to(video.resolve())
    tasks = [
        _Task(table, folder / table.relative_to(dataset.folder), tuple(inside))
        for table, inside in by_table.items()
    ]
    for _ in run_parallel(_write, tasks, workers, progress):
        pass
    stats = _copy_index(dataset, folder, places)
    if stats:
        whole = {
            name: pooled([episode[name] for episode in stats if name in episode])
            for name in stats[0]
        }
        write_json(folder / STATS, as_lists(whole, quantiles=True))
    changed = {
        "total_episodes": len(kept),
        "total_frames": first,
        "splits": {"train": f"0:{len(kept)}"},
    }
    write_json(folder / INFO, {**dataset.info, **changed})


def _write(task: _Task) -> None:
    task.target.parent.mkdir(parents=True, exist_ok=True)
    with (
        pq.ParquetFile(task.source) as file,
        pq.ParquetWriter(task.target, file.schema_arrow, compression="snappy") as writer,
    ):
        for group in range(file.num_row_groups):
            table = renumbered(file.read_row_group(group), task.places)
            if len(table):
                writer.write_table(table)


def _copy_index(dataset: Dataset, folder: Path, places: dict[int, Place]) -> list[dict[str, Stats]]:
    """Write the tables of episodes; return the statistics of those that are kept."""
    stats: list[dict[str, Stats]] = []
    for path in sorted((dataset.folder / "meta" / "episodes").glob("chunk-*/file-*.parquet")):
        rows = [
            _renumbered_row(row, places[row["episode_index"]])
            for row in pq.read_table(path).to_pylist()
            if row["episode_index"] in places
        ]
        if not rows:
            continue
        target = folder / path.relative_to(dataset.folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows), target)
        stats += [_stats_of(row) for row in rows if _stats_of(row)]
    return stats


def _renumbered_row(row: dict[str, Any], place: Place) -> dict[str, Any]:
    changed = {
        "episode_index": place.new,
        "dataset_from_index": place.first,
        "dataset_to_index": place.first + place.length,
    }
    for feature, values in stats_of_place(place, quantiles=True).items():
        for name, value in values.items():
            if f"{_STATS}{feature}/{name}" in row:
                changed[f"{_STATS}{feature}/{name}"] = value
    return {**row, **changed}


def _stats_of(row: dict[str, Any]) -> dict[str, Stats]:
    nested: dict[str, dict[str, Any]] = {}
    for key, value in row.items():
        if key.startswith(_STATS) and value is not None:
            feature, _, name = key.removeprefix(_STATS).rpartition("/")
            nested.setdefault(feature, {})[name] = value
    return from_lists(nested)
