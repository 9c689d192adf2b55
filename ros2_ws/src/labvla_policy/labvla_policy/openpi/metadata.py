"""What a server says about its policy in the first message.

The upper part is what the original LabVLA server says; the lower part is what a robot needs to know
as well. Whoever does not say something is not asked again: None stands for it, and it is left out.
"""

from __future__ import annotations

import numbers
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from labvla_policy.runtime.quoting import quoted

# Names and hashes; they go on into events and recordings.
_LONGEST_TEXT = 200
_MOST_ITEMS = 64


class MetadataError(ValueError):
    """Not what a server says about its policy; the text names the key."""


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """What is known about the policy behind a server."""

    policy_type: str | None = None
    action_dim: int | None = None  # columns of a row
    state_dim: int | None = None
    chunk_size: int | None = None  # rows of an answer
    model_chunk_size: int | None = None  # rows that the network predicts
    output_chunk_size: int | None = None
    max_state_dim: int | None = None
    max_action_dim: int | None = None
    num_inference_steps: int | None = None
    num_cameras: int | None = None

    control_rate: float | None = None  # rows per second
    row_offset: int | None = None  # 0: row 0 is for the time of the observation; 1: one row later
    action_space: str | None = None  # of the rows as they are sent
    network_action_space: str | None = None  # of the rows as they are learnt
    anchor: str | None = None  # what the server adds deltas to
    columns: tuple[str, ...] | None = None  # joint or gripper of every column; "" for an unused one
    gripper_columns: tuple[int, ...] | None = None
    gripper_unit: str | None = None
    joint_unit: str | None = None
    cameras: tuple[str, ...] | None = None  # keys of the request, in the order of the slots
    camera_names: tuple[str, ...] | None = None  # what the cell calls them
    prompt_tokens: int | None = None  # as many as the network reads
    contract_hash: str | None = None  # of the cell's policy contract
    norm_stats_hash: str | None = None
    checkpoint: str | None = None
    extensions: tuple[str, ...] | None = None  # only shown to who announces them
    prefix_rows: int | None = None  # longest committed prefix; only with that extension

    def as_map(self) -> dict[str, Any]:
        """Return the message."""
        said = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in said.items()
            if value is not None
        }

    @classmethod
    def read(cls, message: Any) -> Metadata:
        """Read a server's first message; what it says beyond our words is its own business."""
        if not isinstance(message, Mapping):
            raise MetadataError(f"expected a map about the policy, got {quoted(message)}")
        hints = typing.get_type_hints(cls)
        return cls(
            **{
                field.name: _read(field.name, message[field.name], hints[field.name])
                for field in fields(cls)
                if message.get(field.name) is not None
            }
        )


def _read(name: str, value: Any, hint: types.UnionType) -> Any:
    wanted = next(option for option in typing.get_args(hint) if option is not type(None))
    if typing.get_origin(wanted) is tuple:
        item = typing.get_args(wanted)[0]
        fits = isinstance(value, list) and len(value) <= _MOST_ITEMS
        if fits and all(_is(item, entry) for entry in value):
            return tuple(value)
        raise MetadataError(f"{name}: expected a list of {item.__name__}, got {quoted(value)}")
    if not _is(wanted, value):
        raise MetadataError(f"{name}: expected {wanted.__name__}, got {quoted(value)}")
    return wanted(value)


def _is(kind: type, value: Any) -> bool:
    if kind is str and isinstance(value, str):
        return len(value) <= _LONGEST_TEXT and value.isprintable()
    abstract = {int: numbers.Integral, float: numbers.Real}.get(kind, kind)
    return isinstance(value, abstract) and not isinstance(value, bool)
