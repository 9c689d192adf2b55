"""Copies episodes of version 2.x under new numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from labvla_data.checks.renumbering import Place, renumbered, stats_of_place
from labvla_data.dataset.index import EpisodeEntry
from labvla_data.dataset.layout import CHUNK_SIZE, INFO, V21
from labvla_data.dataset.reader import Dataset
from labvla_data.json_files import read_lines, write_json, write_lines
from labvla_data.parallel import Progress, run_parallel


@dataclass(frozen=True)
class _Task:
    source: Path
    target: Path
    place: Place


def copy(
    dataset: Dataset,
    kept: Sequence[EpisodeEntry],
    folder: Path,
    workers: int | None,
    progress: Progress,
) -> None:
    """Write tables, links to videos, and the index."""
    info = dataset.info
    size = int(info.get("chunks_size") or CHUNK_SIZE)
    tasks, first = [], 0
    for number, entry in enumerate(kept):
        names = {"episode_chunk": number // size, "episode_index": number}
        tasks.append(
            _Task(
                entry.table,
                folder / info["data_path"].format(**names),
                Place(entry.index, number, first, entry.length),
            )
        )
        first += entry.length
        for feature, (video, _) in entry.videos.items():
            link = folder / info["video_path"].format(video_key=feature, **names)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(video.resolve())
    for _ in run_parallel(_write, tasks, workers, progress):
        pass
    new = {entry.index: number for number, entry in enumerate(kept)}
    _copy_lines(dataset, folder, V21.EPISODES, new)
    if (dataset.folder / V21.EPISODES_STATS).exists():
        _copy_lines(dataset, folder, V21.EPISODES_STATS, new)
        _renumber_stats(folder, tasks)
    count = len(kept)
    changed = {
        "total_episodes": count,
        "total_frames": first,
        "total_videos": count * len(dataset.videos),
        "total_chunks": -(-count // size),
        "splits": {"train": f"0:{count}"},
    }
    write_json(folder / INFO, {**info, **changed})


def _write(task: _Task) -> None:
    task.target.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetFile(task.source) as file:
        done = 0
        with pq.ParquetWriter(task.target, file.schema_arrow, compression="snappy") as writer:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group)
                writer.write_table(renumbered(table, [task.place], done))
                done += len(table)


def _copy_lines(dataset: Dataset, folder: Path, name: str, new: dict[int, int]) -> None:
    lines = {line["episode_index"]: line for line in read_lines(dataset.folder / name)}
    write_lines(
        folder / name,
        [{**lines[old], "episode_index": number} for old, number in new.items() if old in lines],
    )


def _renumber_stats(folder: Path, tasks: Sequence[_Task]) -> None:
    """Correct the statistics of the two columns that have changed."""
    places = {task.place.new: task.place for task in tasks}
    lines: list[dict[str, Any]] = read_lines(folder / V21.EPISODES_STATS)
    for line in lines:
        line["stats"].update(
            {
                name: stats
                for name, stats in stats_of_place(
                    places[line["episode_index"]], quantiles=False
                ).items()
                if name in line["stats"]
            }
        )
    write_lines(folder / V21.EPISODES_STATS, lines)
