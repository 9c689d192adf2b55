"""LeRobot version 2.1: a table and a video of each camera for every episode."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from labvla_data.dataset import tables
from labvla_data.dataset.episode_stats import as_lists
from labvla_data.dataset.features import Feature
from labvla_data.dataset.layout import CHUNK_SIZE, INFO, V21, info_features
from labvla_data.dataset.numbering import Numbered, Vocabulary
from labvla_data.dataset.parts import DatasetSpec, Part
from labvla_data.dataset.placing import place
from labvla_data.json_files import write_json, write_lines


class FilesV21:
    """The files of a dataset in the making."""

    def __init__(self, folder: Path, spec: DatasetSpec, features: Mapping[str, Feature]) -> None:
        self._folder, self._spec, self._features = folder, spec, features
        self._episodes: list[dict[str, Any]] = []
        self._stats: list[dict[str, Any]] = []
        self._videos: Mapping[str, Mapping[str, Any]] = {}

    def add(self, part: Part, numbered: Numbered) -> None:
        """Write an episode."""
        names = {
            "episode_chunk": numbered.episode // CHUNK_SIZE,
            "episode_index": numbered.episode,
        }
        path = self._folder / V21.DATA.format(**names)
        path.parent.mkdir(parents=True, exist_ok=True)
        schema = tables.schema(numbered.stored)
        with pq.ParquetWriter(path, schema, compression="snappy") as file:
            for table in numbered.tables(part):
                file.write_table(table)
        for feature in self._spec.videos:
            video = self._folder / V21.VIDEO.format(video_key=feature, **names)
            place(part.video(feature), video)
        self._videos = self._videos or part.videos
        self._episodes.append(
            {"episode_index": numbered.episode, "tasks": numbered.tasks, "length": part.length}
        )
        self._stats.append(
            {
                "episode_index": numbered.episode,
                "stats": as_lists(numbered.stats, quantiles=False),
            }
        )

    def finish(self, tasks: Vocabulary, subtasks: Vocabulary) -> None:
        """Write what concerns all episodes."""
        count = len(self._episodes)
        write_lines(self._folder / V21.EPISODES, self._episodes)
        write_lines(self._folder / V21.EPISODES_STATS, self._stats)
        write_lines(
            self._folder / V21.TASKS,
            [{"task_index": number, "task": text} for number, text in enumerate(tasks.texts)],
        )
        if subtasks.texts:
            write_lines(
                self._folder / V21.SUBTASKS,
                [{"subtask_index": n, "subtask": text} for n, text in enumerate(subtasks.texts)],
            )
        info = {
            "codebase_version": "v2.1",
            "robot_type": self._spec.robot_type,
            "total_episodes": count,
            "total_frames": sum(episode["length"] for episode in self._episodes),
            "total_tasks": len(tasks.texts),
            "total_videos": count * len(self._spec.videos),
            "total_chunks": -(-count // CHUNK_SIZE),
            "chunks_size": CHUNK_SIZE,
            "fps": self._spec.fps,
            "splits": {"train": f"0:{count}"},
            "data_path": V21.DATA,
            "video_path": V21.VIDEO if self._spec.videos else None,
            "features": info_features(self._features, self._spec.images, self._videos),
        }
        write_json(self._folder / INFO, info)
