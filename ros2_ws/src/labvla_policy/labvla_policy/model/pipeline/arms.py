"""Canonical columns of arms: what the public policy's columns mean, whatever the robot.

Single arm: joints 0..6, gripper 7; an arm with six joints leaves column 6 zero. Two arms: left
joints 0..5, left gripper 6, right joints 7..12, right gripper 13.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labvla_policy.model.errors import CheckpointError

SINGLE_WIDTH, SINGLE_GRIPPER, SINGLE_JOINTS = 8, 7, 7
DUAL_WIDTH, DUAL_GRIPPERS = 14, (6, 13)


@dataclass(frozen=True)
class ArmLayout:
    """Where the joints and the gripper are in recorded rows."""

    arm_count: str  # single or dual
    arm_dof: int | None = None
    gripper_index_in_raw: int | None = None
    others: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.arm_count not in ("single", "dual"):
            raise CheckpointError(
                f"arm_layout: arm_count: expected single or dual, got {self.arm_count!r}"
            )
        if self.arm_count == "dual":
            return
        if self.arm_dof is None or not 1 <= self.arm_dof <= SINGLE_JOINTS:
            raise CheckpointError(
                f"arm_layout: arm_dof: expected 1 to {SINGLE_JOINTS} joints, got {self.arm_dof}"
            )
        if self.gripper_index_in_raw is None or self.gripper_index_in_raw < self.arm_dof:
            raise CheckpointError(
                "arm_layout: gripper_index_in_raw: expected a column behind the "
                f"{self.arm_dof} joints, got {self.gripper_index_in_raw}"
            )

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ArmLayout:
        """Read the schema's `arm_layout`."""
        known = ("arm_count", "arm_dof", "gripper_index_in_raw")
        for name in known[1:]:
            if not isinstance(values.get(name), int | None):
                raise CheckpointError(
                    f"arm_layout: {name}: expected a whole number, got {values[name]!r}"
                )
        others = {key: value for key, value in values.items() if key not in known}
        count, dof, gripper = (values.get(name) for name in known)
        return cls(str(count), dof, gripper, others)

    def as_json(self) -> dict[str, Any]:
        """Return the schema's `arm_layout`."""
        values: dict[str, Any] = {"arm_count": self.arm_count}
        if self.arm_dof is not None:
            values["arm_dof"] = self.arm_dof
        if self.gripper_index_in_raw is not None:
            values["gripper_index_in_raw"] = self.gripper_index_in_raw
        return values | dict(self.others)

    def columns(self, raw_width: int) -> Columns:
        """Say where each canonical column comes from in rows of this width."""
        if self.arm_count == "dual":
            if raw_width != DUAL_WIDTH:
                raise CheckpointError(
                    f"arm_layout: rows of two arms are known with {DUAL_WIDTH} columns, "
                    f"got {raw_width}; leave arm_layout out to use the columns as they are"
                )
            return Columns.as_recorded(DUAL_WIDTH, DUAL_GRIPPERS)
        assert self.arm_dof is not None
        assert self.gripper_index_in_raw is not None
        if self.gripper_index_in_raw >= raw_width:
            raise CheckpointError(
                f"arm_layout: gripper_index_in_raw: expected a column below {raw_width}, "
                f"got {self.gripper_index_in_raw}"
            )
        padding = (None,) * (SINGLE_JOINTS - self.arm_dof)
        sources = (*range(self.arm_dof), *padding, self.gripper_index_in_raw)
        return Columns(sources, (SINGLE_GRIPPER,), raw_width)


@dataclass(frozen=True)
class Columns:
    """The policy's columns, and where each comes from in a recorded row."""

    sources: tuple[int | None, ...]  # None: always zero
    grippers: tuple[int, ...]
    raw_width: int

    @classmethod
    def as_recorded(cls, width: int, grippers: tuple[int, ...]) -> Columns:
        """Return columns that are used as they are."""
        return cls(tuple(range(width)), grippers, width)

    @property
    def width(self) -> int:
        """How many columns the policy has."""
        return len(self.sources)

    @property
    def used(self) -> NDArray[np.bool_]:
        """Which columns come from a recorded one."""
        return np.array([source is not None for source in self.sources])

    @property
    def is_gripper(self) -> NDArray[np.bool_]:
        """Which columns are grippers."""
        return np.isin(np.arange(self.width), self.grippers)

    @property
    def joints(self) -> NDArray[np.bool_]:
        """Which columns are joints that the robot has."""
        return self.used & ~self.is_gripper

    def canonical(self, rows: NDArray[Any], padding: float = 0.0) -> NDArray[Any]:
        """Rearrange recorded rows; what is canonical already stays as it is."""
        if rows.shape[-1] == self.width and self.raw_width != self.width:
            return rows
        canonical = np.full((*rows.shape[:-1], self.width), padding, dtype=rows.dtype)
        for column, source in enumerate(self.sources):
            if source is not None:
                canonical[..., column] = rows[..., source]
        return canonical
