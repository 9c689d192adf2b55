"""Which numbers of a dataset mean what: LabVLA's schema and manifest.

The schema is what a checkpoint carries along, the manifest what stands in a dataset; they hold the
same facts under different names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from labvla_data.dataset.errors import DatasetError
from labvla_data.dataset.features import ACTION, IMAGES, STATE, Column, Features, Picture
from labvla_policy.runtime.cell import Cell

MANIFEST_VERSION = 1
MANIFEST = "meta/labvla_manifest.json"
SCHEMA = "meta/labvla_schema.json"
SLOT = "observation.images.image{slot}"

GripperMeaning = Literal["velocity", "width", "position", "open_fraction", "binary"]
_MEANINGS: dict[str, GripperMeaning] = {
    "finger_width": "width",
    "total_width": "width",
    "open_fraction": "open_fraction",
    "closed_fraction": "position",
}


@dataclass(frozen=True)
class RobotSchema:
    """The meaning of state, action and pictures."""

    schema_id: str
    robot_type: str
    state_keys: tuple[str, ...]
    state_dims: tuple[int, ...]
    action_keys: tuple[str, ...]
    action_dims: tuple[int, ...]
    delta_mask: tuple[bool, ...]  # by action column: trained as a difference from the state
    gripper_action_dims: tuple[int, ...]
    image_mapping: Mapping[str, str]  # feature -> slot of the model
    arm_layout: Mapping[str, Any] = field(default_factory=dict)
    gripper_semantic: GripperMeaning = "width"

    @property
    def slots(self) -> dict[str, int]:
        """The model's slot of every mapped camera."""
        return {feature: int(slot[-1]) for feature, slot in self.image_mapping.items()}

    def as_manifest(self) -> dict[str, Any]:
        """Return the contents of `labvla_manifest.json`."""
        return {
            "version": MANIFEST_VERSION,
            "schema_id": self.schema_id,
            "robot_type": self.robot_type,
            "state": {"keys": list(self.state_keys), "dims": list(self.state_dims)},
            "action": {
                "keys": list(self.action_keys),
                "dims": list(self.action_dims),
                "delta": list(self.delta_mask),
                "gripper_dims": list(self.gripper_action_dims),
            },
            "images": dict(self.image_mapping),
            # Cameras without a slot are recorded too.
            "allow_extra_cameras": True,
            "arm_layout": dict(self.arm_layout),
            "annotation_losses": {},
            "gripper_semantic": self.gripper_semantic,
            "source_state": {"keys": list(self.state_keys), "dims": list(self.state_dims)},
            "source_action": {"keys": list(self.action_keys), "dims": list(self.action_dims)},
        }

    def as_schema(self) -> dict[str, Any]:
        """Return the contents of `labvla_schema.json`."""
        return {
            "schema_id": self.schema_id,
            "robot_type": self.robot_type,
            "state_keys": list(self.state_keys),
            "action_keys": list(self.action_keys),
            "state_dims": list(self.state_dims),
            "action_dims": list(self.action_dims),
            "delta_mask": list(self.delta_mask),
            "gripper_action_dims": list(self.gripper_action_dims),
            "image_mapping": dict(self.image_mapping),
            "source": "manifest",
            "source_path": MANIFEST,
            "arm_layout": dict(self.arm_layout),
            "annotation_losses": {},
            "gripper_semantic": self.gripper_semantic,
        }


def check_features(schema: RobotSchema, features: Features) -> None:
    """Refuse features that are not those which the schema speaks of."""
    named = {
        **dict(zip(schema.state_keys, schema.state_dims, strict=True)),
        **dict(zip(schema.action_keys, schema.action_dims, strict=True)),
    }
    for name, width in named.items():
        feature = features.get(name)
        if not isinstance(feature, Column) or feature.width != width:
            raise DatasetError(f"{name}: the schema expects {width} columns, got {feature}")
    for name in schema.image_mapping:
        if not isinstance(features.get(name), Picture):
            raise DatasetError(f"{name}: the schema maps it to a camera, but it is no picture")


def of_cell(cell: Cell) -> RobotSchema:
    """Return the schema of datasets that are recorded in a cell."""
    layout = cell.policy.columns
    grippers = layout.gripper_columns
    delta = cell.policy.action_space == "delta_from_observation"
    units = {_MEANINGS[arm.gripper.policy_unit] for arm in cell.arms}
    if len(units) > 1:
        raise DatasetError(
            f"cell {cell.name}: its grippers have different policy units ({', '.join(units)}), and "
            "a dataset has one meaning for all; give both arms the same `policy_unit`"
        )
    return RobotSchema(
        schema_id=f"{cell.name}_{cell.policy.layout}",
        robot_type=cell.name,
        state_keys=(STATE,),
        state_dims=(layout.width,),
        action_keys=(ACTION,),
        action_dims=(layout.width,),
        delta_mask=tuple(delta and column not in grippers for column in range(layout.width)),
        gripper_action_dims=grippers,
        image_mapping={
            IMAGES + camera.name: SLOT.format(slot=camera.slot) for camera in cell.policy_cameras
        },
        arm_layout=_arm_layout(cell),
        gripper_semantic=units.pop(),
    )


def _arm_layout(cell: Cell) -> dict[str, Any]:
    """Say where joints and grippers are, so that readers leave alone what the arms do not fill."""
    if not cell.policy.columns.canonical:
        # With a layout, readers would squeeze the rows into the canonical columns.
        return {}
    arms = list(zip(cell.arms, cell.policy.columns.arms, strict=True))
    if len(arms) == 1:
        [(arm, columns)] = arms
        layout: dict[str, Any] = {
            "arm_count": "single",
            "arm_dof": len(arm.joints),
            "gripper_index_in_raw": columns.gripper,
        }
    else:
        layout = {"arm_count": "dual"}
        for side, (arm, columns) in zip(("left", "right"), arms, strict=True):
            layout[f"{side}_arm_dof"] = len(arm.joints)
            layout[f"{side}_gripper_index_in_raw"] = columns.gripper
    return {**layout, "gripper_binarize_threshold": 0.5}


def of_manifest(manifest: Mapping[str, Any], where: str) -> RobotSchema:
    """Read a manifest."""
    try:
        if manifest["version"] != MANIFEST_VERSION:
            raise DatasetError(
                f"{where}: expected version {MANIFEST_VERSION}, got {manifest['version']!r}"
            )
        state, action = manifest["state"], manifest["action"]
        return RobotSchema(
            schema_id=str(manifest["schema_id"]),
            robot_type=str(manifest["robot_type"]),
            state_keys=tuple(state["keys"]),
            state_dims=tuple(state["dims"]),
            action_keys=tuple(action["keys"]),
            action_dims=tuple(action["dims"]),
            delta_mask=tuple(action["delta"]),
            gripper_action_dims=tuple(action["gripper_dims"]),
            image_mapping=dict(manifest["images"]),
            arm_layout=dict(manifest.get("arm_layout") or {}),
            gripper_semantic=manifest.get("gripper_semantic", "width"),
        )
    except (KeyError, TypeError) as error:
        raise DatasetError(f"{where}: expected a manifest of version 1; missing: {error}") from None


def of_schema(schema: Mapping[str, Any], where: str) -> RobotSchema:
    """Read a schema as a checkpoint carries it."""
    try:
        return RobotSchema(
            schema_id=str(schema["schema_id"]),
            robot_type=str(schema["robot_type"]),
            state_keys=tuple(schema["state_keys"]),
            state_dims=tuple(schema["state_dims"]),
            action_keys=tuple(schema["action_keys"]),
            action_dims=tuple(schema["action_dims"]),
            delta_mask=tuple(schema["delta_mask"]),
            gripper_action_dims=tuple(schema["gripper_action_dims"]),
            image_mapping=dict(schema["image_mapping"]),
            arm_layout=dict(schema.get("arm_layout") or {}),
            gripper_semantic=schema.get("gripper_semantic", "width"),
        )
    except (KeyError, TypeError) as error:
        raise DatasetError(f"{where}: expected a schema; missing: {error}") from None
