"""`stats`: normalisation statistics of a dataset, computed on several processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from labvla_data.dataset import norm_stats, robot_schema
from labvla_data.dataset.errors import DatasetError, writing
from labvla_data.dataset.layout import INFO, INVALIDATED, INVALIDATED_FLAG, NORM_STATS, STATS
from labvla_data.dataset.norm_stats import Moments, Motion, Recipe
from labvla_data.dataset.reader import Dataset, as_matrix, open_dataset
from labvla_data.dataset.robot_schema import RobotSchema
from labvla_data.files import replace_text
from labvla_data.json_files import as_text, read_json
from labvla_data.parallel import Progress, run_parallel, silent

FEWEST_READ = 0.99  # of the frames: statistics of a part are those of another dataset
CANONICAL = "meta/stats_canonical_grip.json"


@dataclass(frozen=True)
class _Task:
    folder: Path
    episode: int
    schema: RobotSchema
    chunk: int


def stats(
    folder: Path,
    *,
    schema: Path | None = None,
    chunk: int = norm_stats.CHUNK,
    quantiles: bool = True,
    out: Path | None = None,
    canonical_gripper: float | None = None,
    workers: int | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Compute and write normalisation statistics; return what was done.

    Args:
        folder: of the dataset.
        schema: which columns mean what; the dataset's own if not given.
        chunk: rows that the policy predicts.
        quantiles: whether to read everything a second time for q01 and q99.
        out: where to write; if not given, where training looks for it.
        canonical_gripper: widest opening; also writes statistics whose grippers go from 0 to it.
        workers: processes; one for each core if not given.
        progress: hears how many episodes are done.
    """
    if canonical_gripper is not None and not quantiles:
        raise DatasetError("statistics with canonical grippers replace quantiles: compute them")
    dataset = open_dataset(folder)
    meaning = _schema(dataset, schema)
    tasks = [_Task(folder, entry.index, meaning, chunk) for entry in dataset.entries]
    passes = 2 if quantiles else 1
    told = [_part(progress, number, passes) for number in range(passes)]
    found = {
        task.episode: moments
        for task, moments in run_parallel(_moments, tasks, workers, told[0])
        if moments is not None
    }
    frames = sum(len(dataset.episode(number)) for number in found)
    if frames < FEWEST_READ * dataset.frames:
        raise DatasetError(
            f"{folder}: only {frames} of {dataset.frames} frames can be read; expected "
            f"{FEWEST_READ:.0%}: run `labvla data scan` and `labvla data clean` first"
        )
    # Merged in the order of the episodes: the last digits do not depend on who was done first.
    whole = norm_stats.merge_moments(found[number] for number in sorted(found))
    counts = {}
    if quantiles:
        readable = [task for task in tasks if task.episode in found]
        work = partial(_histograms, ranges=whole)
        counts = norm_stats.merge_histograms(
            part for _, part in run_parallel(work, readable, workers, told[1])
        )
    result = norm_stats.result(whole, counts, chunk)
    places = [out] if out is not None else _places(dataset)
    for place in places:
        with writing(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            replace_text(place, as_text(result))
    if canonical_gripper is not None:
        place = folder / CANONICAL
        grips = meaning.gripper_action_dims
        with writing(place):
            replace_text(place, as_text(canonical(result, grips, canonical_gripper)))
        places.append(place)
    if out is None:
        _declare_valid(folder)
    return {
        "root": str(folder),
        "episodes": len(found),
        "frames": frames,
        "unreadable": sorted({task.episode for task in tasks} - set(found)),
        "chunk_size": chunk,
        "written": [str(place) for place in places],
        "stats": result,
    }


def canonical(
    result: Mapping[str, Any], grippers: tuple[int, ...], widest: float
) -> dict[str, Any]:
    """Return statistics whose gripper columns go from 0 to the widest opening."""
    changed: dict[str, Any] = {}
    for key, entry in result.items():
        if not isinstance(entry, Mapping):
            changed[key] = entry
            continue
        low, high = list(entry["q01"]), list(entry["q99"])
        for column in grippers:
            low[column], high[column] = 0.0, widest
        changed[key] = {**entry, "q01": low, "q99": high}
    return changed


def _schema(dataset: Dataset, path: Path | None) -> RobotSchema:
    if path is not None:
        schema = robot_schema.of_schema(read_json(path), str(path))
    elif dataset.schema is not None:
        schema = dataset.schema
    else:
        raise DatasetError(
            f"{dataset.folder}: it does not say which columns are grippers and deltas; name a "
            "schema file (labvla_schema.json) with --schema"
        )
    schema = replace(
        schema,
        state_keys=tuple(_known(dataset, key) for key in schema.state_keys),
        action_keys=tuple(_known(dataset, key) for key in schema.action_keys),
    )
    width = sum(dataset.columns[key].width for key in schema.action_keys)
    if width != len(schema.delta_mask):
        raise DatasetError(
            f"{dataset.folder}: its actions have {width} columns, those of the schema "
            f"{len(schema.delta_mask)}"
        )
    return schema


def _known(dataset: Dataset, key: str) -> str:
    """Return what the dataset calls a column of the schema."""
    if key in dataset.features:
        return key
    for meaning in ("observation.state", "action"):
        name = dataset.name_of(meaning)
        if name is not None and key in (meaning, meaning.removeprefix("observation."), name):
            return name
    raise DatasetError(f"{dataset.folder}: the schema names {key}, which the dataset lacks")


@lru_cache(maxsize=1)
def _opened(folder: Path) -> Dataset:
    return open_dataset(folder)


def _motion(task: _Task) -> Motion:
    episode = _opened(task.folder).episode(task.episode)
    columns = episode.columns([*task.schema.state_keys, *task.schema.action_keys])
    states, actions = (
        np.concatenate([as_matrix(columns[key]) for key in keys], axis=1)
        for keys in (task.schema.state_keys, task.schema.action_keys)
    )
    if not (np.isfinite(states).all() and np.isfinite(actions).all()):
        raise DatasetError(f"episode {task.episode} holds numbers that are not finite")
    return states, actions


def _moments(task: _Task) -> dict[str, Moments] | None:
    """First pass; None for an episode that cannot be read."""
    try:
        motion = _motion(task)
    except DatasetError:
        return None
    return norm_stats.moments(motion, Recipe(task.schema.delta_mask, task.chunk))


def _histograms(task: _Task, ranges: Mapping[str, Moments]) -> Any:
    """Second pass."""
    recipe = Recipe(task.schema.delta_mask, task.chunk)
    return norm_stats.histograms(_motion(task), recipe, ranges)


def _places(dataset: Dataset) -> list[Path]:
    names = [NORM_STATS] + ([STATS] if dataset.version.startswith("v2") else [])
    return [dataset.folder / name for name in names]


def _declare_valid(folder: Path) -> None:
    info = read_json(folder / INFO)
    if info.pop(INVALIDATED_FLAG, None):
        replace_text(folder / INFO, as_text(info))
        (folder / INVALIDATED).unlink(missing_ok=True)


def _part(progress: Progress, number: int, passes: int) -> Progress:
    return lambda done, whole: progress(number * whole + done, passes * whole)
