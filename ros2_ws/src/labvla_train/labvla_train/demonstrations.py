"""A dataset as training needs it: every number in memory, checked, and where samples begin."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labvla_data.dataset import IMAGES, Dataset, DatasetError, norm_stats, open_dataset
from labvla_data.dataset.reader import as_matrix
from labvla_data.dataset.robot_schema import SLOT
from labvla_policy.model.errors import CheckpointError
from labvla_policy.model.pipeline.norm_stats import NormStats, stats_from_json
from labvla_policy.model.pipeline.schema import DataSchema, schema_from_json
from labvla_train.errors import TrainError

Rows = NDArray[np.float32]

# What columns and slots mean: the same in all datasets that are learnt from together.
_MEANING = (
    "state_keys",
    "action_keys",
    "state_dims",
    "action_dims",
    "delta_mask",
    "gripper_action_dims",
    "gripper_semantic",
    "arm_layout",
    "image_mapping",
)


@dataclass(frozen=True, eq=False)
class Demonstration:
    """One episode's numbers."""

    source: int  # which of the datasets it is from
    episode: int  # its number there
    task: str  # what errors are told by; empty where the dataset does not name any
    states: Rows  # frames x columns, as recorded
    actions: Rows
    truth: Rows | None  # what only a simulator knows
    instructions: Sequence[str]  # one a frame

    def __len__(self) -> int:
        return len(self.actions)


@dataclass(frozen=True, eq=False)
class Demonstrations:
    """All episodes of one dataset, or of several that hold the same."""

    datasets: Sequence[Dataset]
    schema: DataSchema
    stats: NormStats
    episodes: Sequence[Demonstration]
    truth_names: tuple[str, ...]

    @property
    def dataset(self) -> Dataset:
        """The first one: what all have in common can be read there."""
        return self.datasets[0]

    @property
    def cameras(self) -> tuple[str, ...]:
        """Features of the pictures, in the order of the policy's slots."""
        return self.schema.cameras

    @cached_property
    def digest(self) -> str:
        """A hash of all numbers and words: what a run was trained on."""
        total = hashlib.sha256()
        for dataset in self.datasets:
            total.update(json.dumps(dataset.info, sort_keys=True).encode())
        for one in self.episodes:
            total.update(one.states.tobytes())
            total.update(one.actions.tobytes())
            total.update("\n".join(dict.fromkeys(one.instructions)).encode())
        return total.hexdigest()

    @cached_property
    def instructions(self) -> tuple[str, ...]:
        """Every instruction there is."""
        return tuple(sorted({text for one in self.episodes for text in one.instructions}))


def read_demonstrations(
    folders: Sequence[Path],
    chunk: int,
    truth: str | None = None,
    cameras: Sequence[str] | None = None,
) -> Demonstrations:
    """Read and check datasets; refuse what would teach something wrong.

    Args:
        folders: of the datasets.
        chunk: rows that the policy predicts.
        truth: column of what only a simulator knows, if it is needed.
        cameras: which ones the policy sees, in the order of its slots; all if not given.
    """
    try:
        datasets = [open_dataset(folder) for folder in folders]
        first, *others = datasets
        schema = _schema(first, cameras)
        _check(first, schema, truth)
        for other in others:
            _check(other, schema, truth)
            _compare(first, other, schema, _schema(other, cameras), truth)
        episodes = [
            _demonstration(dataset, schema, source, entry.index, truth)
            for source, dataset in enumerate(datasets)
            for entry in dataset.entries
        ]
        stats = _stats(datasets, schema, episodes, chunk)
    except (DatasetError, CheckpointError) as error:
        raise TrainError(str(error)) from None
    names = datasets[0].columns[truth].names if truth is not None else ()
    return Demonstrations(datasets, schema, stats, episodes, tuple(names))


def _schema(dataset: Dataset, cameras: Sequence[str] | None) -> DataSchema:
    if dataset.schema is None:
        raise TrainError(
            f"{dataset.folder}: it does not say which columns are grippers and deltas and which "
            "camera is in which slot: expected meta/labvla_manifest.json, as `labvla export` and "
            "`labvla generate` write it"
        )
    values = dataset.schema.as_schema()
    # Without some of a cell's cameras, slots are empty in between; checkpoints know none.
    slots = dataset.schema.slots
    chosen = sorted(slots, key=slots.__getitem__)
    if cameras is not None:
        named = {name.removeprefix(IMAGES): name for name in chosen}
        unknown = sorted(set(cameras) - set(named))
        if unknown or not cameras:
            raise TrainError(
                f"{dataset.folder}: data.cameras: expected some of {', '.join(named)}, got "
                f"{', '.join(unknown) or 'none'}"
            )
        chosen = [named[camera] for camera in cameras]
    values["image_mapping"] = {name: SLOT.format(slot=slot) for slot, name in enumerate(chosen)}
    return schema_from_json(values, f"{dataset.folder}: schema")


def _check(dataset: Dataset, schema: DataSchema, truth: str | None) -> None:
    if not len(dataset) or not dataset.frames:
        raise TrainError(f"{dataset.folder}: expected episodes, there is none")
    if dataset.norm_stats is None:
        raise TrainError(f"{dataset.folder}: it has no statistics: run `labvla data stats`")
    if dataset.stats_invalidated:
        raise TrainError(
            f"{dataset.folder}: episodes were taken out since its statistics were made: "
            "run `labvla data stats`"
        )
    widths = zip(
        (*schema.state_keys, *schema.action_keys),
        (*schema.state_dims, *schema.action_dims),
        strict=True,
    )
    for name, width in widths:
        column = dataset.columns.get(name)
        if column is None or column.width != width:
            got = "none" if column is None else f"{column.width}"
            raise TrainError(f"{dataset.folder}: {name}: expected {width} columns, got {got}")
    missing = sorted(set(schema.cameras) - set(dataset.pictures))
    if missing or not schema.cameras:
        raise TrainError(
            f"{dataset.folder}: expected pictures {', '.join(missing) or 'of a camera'}; it has "
            f"{', '.join(dataset.pictures) or 'none'}"
        )
    if truth is not None and truth not in dataset.columns:
        raise TrainError(
            f"{dataset.folder}: auxiliary.column: expected one of {', '.join(dataset.columns)}, "
            f"got {truth}: only `labvla generate` knows the truth"
        )


def _compare(
    first: Dataset, other: Dataset, schema: DataSchema, others: DataSchema, truth: str | None
) -> None:
    """Refuse to mix what does not mean the same."""
    facts: dict[str, tuple[Any, Any]] = {
        name: (getattr(schema, name), getattr(others, name)) for name in _MEANING
    }
    facts["frames a second"] = (first.fps, other.fps)
    facts["size of pictures"] = (_sizes(first, schema), _sizes(other, schema))
    if truth is not None:
        facts[truth] = (first.columns[truth].names, other.columns[truth].names)
    for name, (wanted, got) in facts.items():
        if wanted != got:
            raise TrainError(
                f"{other.folder}: data.also: {name}: expected {wanted} as in {first.folder}, "
                f"got {got}"
            )


def _sizes(dataset: Dataset, schema: DataSchema) -> dict[str, tuple[int, int]]:
    pictures = {name: dataset.pictures[name] for name in schema.cameras}
    return {name: (picture.height, picture.width) for name, picture in pictures.items()}


def _stats(
    datasets: Sequence[Dataset], schema: DataSchema, episodes: Sequence[Demonstration], chunk: int
) -> NormStats:
    """Return a dataset's statistics, or those of the same numbers over chunks of our length.

    Those of several datasets are computed from all their numbers.
    """
    values = datasets[0].norm_stats
    ours = values is not None and values.get(norm_stats.CHUNK_KEY) in (None, chunk)
    if len(datasets) > 1 or not ours:
        values = _measured(schema, episodes, chunk)
    return stats_from_json(values or {}, ", ".join(str(one.folder) for one in datasets))


def _measured(
    schema: DataSchema, episodes: Sequence[Demonstration], chunk: int
) -> Mapping[str, Any]:
    recipe = norm_stats.Recipe(schema.delta_mask, chunk)
    motions = [(one.states.astype(float), one.actions.astype(float)) for one in episodes]
    whole = norm_stats.merge_moments(norm_stats.moments(motion, recipe) for motion in motions)
    counts = norm_stats.merge_histograms(
        norm_stats.histograms(motion, recipe, whole) for motion in motions
    )
    return norm_stats.result(whole, counts, chunk)


def _demonstration(
    dataset: Dataset, schema: DataSchema, source: int, number: int, truth: str | None
) -> Demonstration:
    episode = dataset.episode(number)
    names = [*schema.state_keys, *schema.action_keys, *([truth] if truth else [])]
    columns = {
        name: as_matrix(values).astype(np.float32)
        for name, values in episode.columns(names).items()
    }
    for name, values in columns.items():
        if len(values) != len(episode):
            raise TrainError(
                f"episode {number}: {name}: expected {len(episode)} frames, got {len(values)}"
            )
        if not np.isfinite(values).all():
            frame = int(np.argwhere(~np.isfinite(values))[0, 0])
            raise TrainError(f"episode {number}: {name}: holds NaN or infinity in frame {frame}")
    return Demonstration(
        source,
        number,
        str(dataset.sidecar.get(number, {}).get("task_name", "")),
        np.concatenate([columns[name] for name in schema.state_keys], axis=1),
        np.concatenate([columns[name] for name in schema.action_keys], axis=1),
        columns[truth] if truth else None,
        episode.tasks,
    )
