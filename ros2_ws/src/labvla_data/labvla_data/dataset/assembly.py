"""From finished episodes to a dataset: numbering, tasks, statistics; each version its own files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from labvla_data.dataset import norm_stats, tables
from labvla_data.dataset.assembly_v21 import FilesV21
from labvla_data.dataset.assembly_v30 import FilesV30
from labvla_data.dataset.episode_stats import Stats, column_stats
from labvla_data.dataset.errors import DatasetError, writing
from labvla_data.dataset.features import COUNTERS, SUBTASK_INDEX, Column, Feature
from labvla_data.dataset.layout import NORM_STATS, SIDECAR, STATS, Version
from labvla_data.dataset.numbering import Numbered, Vocabulary
from labvla_data.dataset.parts import SUBTASK, TASK, DatasetSpec, Part
from labvla_data.dataset.robot_schema import MANIFEST, SCHEMA, RobotSchema
from labvla_data.json_files import write_json, write_lines


class Files(Protocol):
    """What a version does with episodes."""

    def add(self, part: Part, numbered: Numbered) -> None:
        """Write an episode."""

    def finish(self, tasks: Vocabulary, subtasks: Vocabulary) -> None:
        """Write what concerns all of them."""


_FILES: dict[Version, Any] = {"v2.1": FilesV21, "v3.0": FilesV30}


@dataclass
class Assembly:
    """Puts finished episodes together in a folder of its own."""

    folder: Path
    spec: DatasetSpec
    version: Version
    schema: RobotSchema | None = None
    chunk: int = norm_stats.CHUNK
    _tasks: Vocabulary = field(default_factory=Vocabulary)
    _subtasks: Vocabulary = field(default_factory=Vocabulary)

    def build(self, parts: Sequence[Part]) -> None:
        """Write the dataset."""
        if not parts:
            raise DatasetError(f"{self.folder}: a dataset needs at least one episode, got none")
        features = self._features(parts)
        with writing(self.folder):
            files: Files = _FILES[self.version](self.folder, self.spec, features)
            first = 0
            for episode, part in enumerate(parts):
                files.add(part, self._numbered(part, episode, first, features))
                first += part.length
            files.finish(self._tasks, self._subtasks)
            sidecar = [{"episode_index": i, **part.metadata} for i, part in enumerate(parts)]
            write_lines(self.folder / SIDECAR, sidecar)
            if self.schema is not None:
                self._write_meaning(self.schema, parts)

    def _features(self, parts: Sequence[Part]) -> dict[str, Feature]:
        """Return the features; subtasks are one only where somebody named any."""
        features = dict(self.spec.features)
        if any(_has_subtasks(part) for part in parts):
            features[SUBTASK_INDEX] = Column("int64", (SUBTASK_INDEX,))
        return features

    def _numbered(
        self, part: Part, episode: int, first: int, features: Mapping[str, Feature]
    ) -> Numbered:
        with part.frames as file:
            words = file.read(columns=[TASK, SUBTASK])
        tasks = [self._tasks.index(text) for text in words[TASK].to_pylist()]
        frames = np.arange(part.length, dtype=np.int64)
        values: dict[str, NDArray[Any]] = {
            "timestamp": (frames / self.spec.fps).astype(np.float32),
            "frame_index": frames,
            "episode_index": np.full(part.length, episode, dtype=np.int64),
            "index": first + frames,
            "task_index": np.array(tasks, dtype=np.int64),
        }
        if SUBTASK_INDEX in features:
            subtasks = [self._subtasks.index(text) for text in words[SUBTASK].to_pylist()]
            values[SUBTASK_INDEX] = np.array(subtasks, dtype=np.int64)
        stored = {
            name: feature
            for name, feature in {**features, **COUNTERS}.items()
            if name not in self.spec.videos
        }
        stats: dict[str, Stats] = {
            **part.stats,
            **{name: column_stats(value[:, None]) for name, value in values.items()},
        }
        names = list(dict.fromkeys(self._tasks.texts[task] for task in tasks))
        return Numbered(episode, first, names, stats, values, stored)

    def _write_meaning(self, schema: RobotSchema, parts: Sequence[Part]) -> None:
        write_json(self.folder / MANIFEST, schema.as_manifest())
        write_json(self.folder / SCHEMA, schema.as_schema())
        recipe = norm_stats.Recipe(schema.delta_mask, self.chunk)
        stats = norm_stats.compute(lambda: _motions(parts, schema), recipe)
        write_json(self.folder / NORM_STATS, stats)
        if self.version == "v2.1":
            # LabVLA's own training looks for them here. LeRobot does not in this version; in 3.0
            # it does, and means absolute actions where these are deltas.
            write_json(self.folder / STATS, stats)


def _has_subtasks(part: Part) -> bool:
    with part.frames as file:
        return any(file.read(columns=[SUBTASK])[SUBTASK].to_pylist())


def _motions(parts: Sequence[Part], schema: RobotSchema) -> Iterator[norm_stats.Motion]:
    for part in parts:
        with part.frames as file:
            table: pa.Table = file.read(columns=[*schema.state_keys, *schema.action_keys])
        state, action = (
            np.concatenate([tables.as_numpy(table[key]) for key in keys], axis=1)
            for keys in (schema.state_keys, schema.action_keys)
        )
        yield state, action
