"""What the columns of a data set mean: labvla_schema.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from labvla_policy.model.errors import CheckpointError
from labvla_policy.model.pipeline.arms import ArmLayout

SCHEMA = "labvla_schema.json"
SCHEMAS = "labvla_schemas.json"
MULTI_REPO = "multi_repo_v1"
IMAGE_PREFIX = "observation.images.image"
MOST_CAMERAS = 3


@dataclass(frozen=True, kw_only=True)
class DataSchema:
    """Fields as in the file, checked against each other."""

    schema_id: str = ""
    robot_type: str = ""
    state_keys: tuple[str, ...] = ("observation.state",)
    action_keys: tuple[str, ...] = ("action",)
    state_dims: tuple[int, ...]
    action_dims: tuple[int, ...]
    delta_mask: tuple[bool, ...]
    gripper_action_dims: tuple[int, ...] = ()
    image_mapping: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    source_path: str = ""
    arm_layout: ArmLayout | None = None
    gripper_semantic: str = ""
    others: Mapping[str, Any] = field(default_factory=dict)  # kept for writing, unused here

    def __post_init__(self) -> None:
        for name, dims in (("state_dims", self.state_dims), ("action_dims", self.action_dims)):
            if not dims or any(dim < 1 for dim in dims):
                raise CheckpointError(f"{name}: expected widths of at least 1, got {list(dims)}")
        if len(self.delta_mask) < self.raw_action_width:
            raise CheckpointError(
                f"delta_mask: expected one entry for each of {self.raw_action_width} action "
                f"columns, got {len(self.delta_mask)}"
            )
        if any(self.delta_mask[self.raw_action_width :]):
            raise CheckpointError(
                f"delta_mask: marks columns beyond the {self.raw_action_width} that actions have"
            )
        outside = [c for c in self.gripper_action_dims if not 0 <= c < self.raw_action_width]
        if outside:
            raise CheckpointError(
                f"gripper_action_dims: expected columns below {self.raw_action_width}, "
                f"got {outside}"
            )
        slots = sorted(self.image_mapping.values())
        if slots != [f"{IMAGE_PREFIX}{index}" for index in range(len(slots))] or (
            len(slots) > MOST_CAMERAS
        ):
            raise CheckpointError(
                f"image_mapping: expected {IMAGE_PREFIX}0, 1, ... once each, at most "
                f"{MOST_CAMERAS}, got {slots}"
            )

    @property
    def raw_state_width(self) -> int:
        """Columns of a state as recorded."""
        return sum(self.state_dims)

    @property
    def raw_action_width(self) -> int:
        """Columns of an action as recorded."""
        return sum(self.action_dims)

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the recorded cameras in the order of the policy's slots."""
        by_slot = {slot: name for name, slot in self.image_mapping.items()}
        return tuple(by_slot[slot] for slot in sorted(by_slot))

    def as_json(self) -> dict[str, Any]:
        """Return the file's content."""
        values: dict[str, Any] = asdict(self)
        others: dict[str, Any] = values.pop("others")
        if self.arm_layout is None:
            del values["arm_layout"]
        else:
            values["arm_layout"] = self.arm_layout.as_json()
        return values | others


def schema_from_json(values: Mapping[str, Any], where: str) -> DataSchema:
    """Read a schema; `where` names it in messages."""
    try:
        layout = values.get("arm_layout")
        known: dict[str, Any] = {
            "state_dims": _whole_numbers(values, "state_dims"),
            "action_dims": _whole_numbers(values, "action_dims"),
            "delta_mask": tuple(_of_kind(values, "delta_mask", bool)),
            "gripper_action_dims": _whole_numbers(values, "gripper_action_dims", ()),
            "image_mapping": dict(values.get("image_mapping") or {}),
            "arm_layout": ArmLayout.from_json(layout) if layout else None,
        }
        for name in ("state_keys", "action_keys"):
            if name in values:
                known[name] = tuple(_of_kind(values, name, str))
        for name in ("schema_id", "robot_type", "source", "source_path", "gripper_semantic"):
            known[name] = str(values.get(name) or "")
        others = {key: value for key, value in values.items() if key not in known}
        return DataSchema(**known, others=others)
    except CheckpointError as error:
        raise CheckpointError(f"{where}: {error}") from None


def _whole_numbers(
    values: Mapping[str, Any], name: str, default: tuple[int, ...] | None = None
) -> tuple[int, ...]:
    if default is not None and values.get(name) is None:
        return default
    return tuple(_of_kind(values, name, int))


def _of_kind(values: Mapping[str, Any], name: str, kind: type) -> list[Any]:
    found = values.get(name)
    if not isinstance(found, list) or any(type(item) is not kind for item in found):
        expected = {int: "whole numbers", bool: "true and false", str: "texts"}[kind]
        raise CheckpointError(f"{name}: expected a list of {expected}, got {json.dumps(found)}")
    return found


def pick_repo(values: Mapping[str, Any], repo: str | None, where: str) -> Mapping[str, Any]:
    """Return one data set's part of a file that may hold several."""
    if values.get("_schema") != MULTI_REPO:
        return values
    parts: dict[str, Mapping[str, Any]] = {
        name: part for name, part in values.items() if name != "_schema"
    }
    if repo is None and len(parts) == 1:
        return next(iter(parts.values()))
    if repo not in parts:
        named = f"got {repo!r}" if repo else "name one"
        raise CheckpointError(
            f"{where}: holds {len(parts)} data sets, {', '.join(sorted(parts))}: {named}"
        )
    return parts[repo]
