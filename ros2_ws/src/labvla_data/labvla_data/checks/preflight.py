"""`preflight`: whether training on datasets can begin, and would learn what the cell means."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from labvla_data.checks.verdict import Issue, Severity, report
from labvla_data.dataset import norm_stats, robot_schema
from labvla_data.dataset.errors import DatasetError
from labvla_data.dataset.features import Column
from labvla_data.dataset.reader import Dataset, open_dataset
from labvla_data.dataset.robot_schema import RobotSchema
from labvla_data.json_files import JsonFileError, read_json
from labvla_policy.runtime.cell import Cell

ActionMode = Literal["delta", "abs"]
_SMALLEST_SPREAD = 1e-4  # of a normalised column: dividing by less blows up noise


@dataclass(frozen=True)
class Plan:
    """What is to be trained."""

    action_mode: ActionMode = "delta"
    chunk: int = norm_stats.CHUNK
    schema: RobotSchema | None = None  # for datasets that do not say it themselves
    external_stats: Mapping[str, Path] | None = None  # by the name of the dataset's folder
    cell: Cell | None = None  # where the policy will work


def preflight(folders: Sequence[Path], plan: Plan) -> dict[str, Any]:
    """Check datasets that are to be trained on together; return the report."""
    issues: list[Issue] = []
    widths: dict[str, tuple[int, ...]] = {}
    meanings: dict[str, str] = {}
    for folder in folders:
        try:
            dataset = open_dataset(folder)
            issues += list(_dataset(dataset, plan))
            schema = dataset.schema or plan.schema
        except (DatasetError, JsonFileError) as error:
            issues.append(Issue("meta_files", Severity.HIGH, str(error)))
            continue
        if schema is not None:
            widths[folder.name] = schema.action_dims
            meanings[folder.name] = schema.gripper_semantic
    issues += _together(widths, meanings)
    return report(", ".join(map(str, folders)), issues)


def _together(
    widths: Mapping[str, tuple[int, ...]], meanings: Mapping[str, str]
) -> Iterator[Issue]:
    if len({sum(dims) for dims in widths.values()}) > 1:
        text = ", ".join(f"{name} {sum(dims)}" for name, dims in widths.items())
        yield Issue("mixture", Severity.HIGH, f"the datasets have actions of other widths: {text}")
    odd = {"velocity", "position"} & set(meanings.values())
    if odd and len(set(meanings.values())) > 1:
        text = ", ".join(f"{name} {meaning}" for name, meaning in meanings.items())
        yield Issue("mixture", Severity.HIGH, f"their grippers mean different things: {text}")


def _dataset(dataset: Dataset, plan: Plan) -> Iterator[Issue]:
    name = dataset.folder.name
    if not len(dataset):
        yield Issue("lengths", Severity.HIGH, f"{name}: no episodes")
    stated = int(dataset.info.get("total_frames") or 0)
    if stated != dataset.frames:
        text = f"{name}: info.json says {stated} frames, its episodes have {dataset.frames}"
        yield Issue("lengths", Severity.HIGH, text)
    if not any(dataset.tasks.values()):
        yield Issue("tasks", Severity.MED, f"{name}: no episode has an instruction")
    schema = dataset.schema or plan.schema
    if schema is None:
        text = f"{name}: neither manifest nor schema says what its columns mean"
        yield Issue("schema", Severity.HIGH, text)
        return
    yield from _schema(dataset, schema)
    yield from _stats(dataset, schema, plan)
    if plan.cell is not None:
        yield from _cell(dataset, schema, plan.cell)


def _schema(dataset: Dataset, schema: RobotSchema) -> Iterator[Issue]:
    name = dataset.folder.name
    for keys, dims in (
        (schema.state_keys, schema.state_dims),
        (schema.action_keys, schema.action_dims),
    ):
        for key, width in zip(keys, dims, strict=True):
            feature = dataset.features.get(key)
            if not isinstance(feature, Column):
                yield Issue("schema", Severity.HIGH, f"{name}: the schema names {key}, it lacks it")
            elif feature.width != width:
                text = f"{name}: {key} has {feature.width} columns, the schema says {width}"
                yield Issue("schema", Severity.HIGH, text)
    if len(schema.delta_mask) != sum(schema.action_dims):
        text = f"{name}: a delta mask of {len(schema.delta_mask)} for {schema.action_dims} columns"
        yield Issue("schema", Severity.HIGH, text)
    for camera in schema.image_mapping:
        if camera not in dataset.pictures:
            known = ", ".join(dataset.pictures) or "none"
            text = f"{name}: the schema maps {camera}, the dataset has {known}"
            yield Issue("cameras", Severity.HIGH, text)


def _stats(dataset: Dataset, schema: RobotSchema, plan: Plan) -> Iterator[Issue]:
    name = dataset.folder.name
    external = (plan.external_stats or {}).get(name)
    if external is None and dataset.stats_invalidated:
        text = (
            f"{name}: episodes were dropped since its statistics were computed; run "
            "`labvla data stats`"
        )
        yield Issue("stats", Severity.HIGH, text)
        return
    stats = read_json(external) if external is not None else dataset.norm_stats
    if stats is None:
        text = f"{name}: no normalisation statistics; run `labvla data stats`"
        yield Issue("stats", Severity.HIGH, text)
        return
    wanted = "action" if plan.action_mode == "delta" else "action_abs"
    for entry in norm_stats.missing_fields(stats, ["observation.state", wanted]):
        yield Issue("stats", Severity.HIGH, f"{name}: the statistics lack {entry}")
    if stats.get(norm_stats.CHUNK_KEY) not in (plan.chunk, None):
        text = (
            f"{name}: the statistics are for chunks of {stats[norm_stats.CHUNK_KEY]} rows, the "
            f"policy predicts {plan.chunk}"
        )
        yield Issue("stats", Severity.HIGH, text)
    for key, width in (
        ("observation.state", sum(schema.state_dims)),
        (wanted, sum(schema.action_dims)),
    ):
        if isinstance(stats.get(key), Mapping):
            yield from _entry(name, key, stats[key], width, schema)


def _entry(
    name: str, key: str, entry: Mapping[str, Any], width: int, schema: RobotSchema
) -> Iterator[Issue]:
    """Check one entry of the statistics: widths, numbers, columns that would explode."""
    for field in ("mean", "std", "q01", "q99", "min", "max"):
        values = entry.get(field)
        if values is None:
            continue
        if len(values) != width:
            text = f"{name}: {key}.{field} has {len(values)} numbers, the schema {width} columns"
            yield Issue("stats", Severity.HIGH, text)
            return
        if not all(map(math.isfinite, values)):
            yield Issue("stats", Severity.HIGH, f"{name}: {key}.{field} is not finite")
            return
    if not {"std", "q01", "q99"} <= entry.keys():
        return
    for column in range(width):
        if column in schema.gripper_action_dims:
            spread, what = entry["q99"][column] - entry["q01"][column], "q99 - q01"
        else:
            spread, what = entry["std"][column], "std"
        if spread < _SMALLEST_SPREAD:
            # A column without a joint is zero everywhere, which is harmless: 0 / 1e-6.
            dead = entry["max"][column] == entry["min"][column] == 0
            text = f"{name}: {key} column {column} never moves ({what} {spread:.2g})"
            yield Issue("stats", Severity.LOW if dead else Severity.MED, text)


def _cell(dataset: Dataset, schema: RobotSchema, cell: Cell) -> Iterator[Issue]:
    """Compare the dataset with the cell in which the policy will work."""
    name, wanted = dataset.folder.name, robot_schema.of_cell(cell)
    if sum(schema.action_dims) != sum(wanted.action_dims):
        text = f"{name}: {sum(schema.action_dims)} action columns, the cell {cell.name} has another"
        yield Issue("cell", Severity.HIGH, f"{text} layout ({cell.policy.layout})")
    if schema.gripper_action_dims != wanted.gripper_action_dims:
        text = f"{name}: grippers in columns {schema.gripper_action_dims}, in the cell "
        yield Issue("cell", Severity.HIGH, f"{text}{wanted.gripper_action_dims}")
    if schema.gripper_semantic != wanted.gripper_semantic:
        text = f"{name}: its grippers are a {schema.gripper_semantic}, the cell's a "
        yield Issue("cell", Severity.HIGH, f"{text}{wanted.gripper_semantic}")
    for camera, slot in wanted.slots.items():
        if schema.slots.get(camera) != slot:
            text = f"{name}: {camera} is in slot {schema.slots.get(camera)}, in the cell in {slot}"
            yield Issue("cell", Severity.MED, text)
    feature = dataset.columns.get(schema.action_keys[0]) if schema.action_keys else None
    names = tuple(column for column in cell.column_names if column is not None)
    if feature is not None and not set(names) <= set(feature.names):
        yield Issue("cell", Severity.MED, f"{name}: its columns have other names than the joints")
    elif feature is not None:
        order = tuple(column for column in feature.names if column in names)
        if order != names:
            yield Issue("cell", Severity.HIGH, f"{name}: its joints are in another order: {order}")
    if abs(dataset.fps - cell.policy.row_rate) > 1e-6:
        text = (
            f"{name}: {dataset.fps:g} frames a second, the cell executes {cell.policy.row_rate:g} "
            "rows: the arm would move at another speed than it was shown"
        )
        yield Issue("cell", Severity.HIGH, text)
