"""What a safetensors file says about itself, before a byte of its weights is touched."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labvla_policy.model.errors import CheckpointError

BYTES = {"BF16": 2, "F16": 2, "F32": 4}
_LENGTH = struct.Struct("<Q")
_LARGEST_HEADER = 100_000_000
_METADATA = "__metadata__"


@dataclass(frozen=True)
class StoredTensor:
    """One entry of a file."""

    dtype: str
    shape: tuple[int, ...]
    begin: int  # within the file's data
    end: int

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


def read_header(path: Path) -> dict[str, StoredTensor]:
    """Read the table of contents; refuse a file that is cut short or holds no usable weights."""
    try:
        with path.open("rb") as file:
            length = _header_length(file.read(_LENGTH.size), path)
            text = file.read(length)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        table = json.loads(text)
        tensors = {name: _entry(item) for name, item in table.items() if name != _METADATA}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise CheckpointError(
            f"{path}: expected a safetensors file, got something else, or one that is cut short"
        ) from None
    data = path.stat().st_size - _LENGTH.size - length
    needed = max((tensor.end for tensor in tensors.values()), default=0)
    if data != needed:
        how = "cut short: copy or download it again" if data < needed else "with a tail: damaged"
        raise CheckpointError(
            f"{path}: expected {needed:,} bytes of weights, got {data:,}; it is {how}"
        )
    _check_entries(tensors, path)
    return tensors


def _header_length(prefix: bytes, path: Path) -> int:
    length = _LENGTH.unpack(prefix)[0] if len(prefix) == _LENGTH.size else 0
    if not 2 <= length <= _LARGEST_HEADER:
        raise CheckpointError(f"{path}: expected a safetensors file, got something else")
    return int(length)


def _entry(item: Mapping[str, Any]) -> StoredTensor:
    begin, end = item["data_offsets"]
    return StoredTensor(item["dtype"], tuple(item["shape"]), begin, end)


def _check_entries(tensors: Mapping[str, StoredTensor], path: Path) -> None:
    strange = {name: tensor.dtype for name, tensor in tensors.items() if tensor.dtype not in BYTES}
    if strange:
        name, dtype = next(iter(strange.items()))
        raise CheckpointError(
            f"{path}: expected weights as {', '.join(BYTES)}, got {dtype} for {name}"
            + (f" and {len(strange) - 1} more" if len(strange) > 1 else "")
        )
    for name, tensor in tensors.items():
        if tensor.end - tensor.begin != tensor.size * BYTES[tensor.dtype]:
            raise CheckpointError(f"{path}: {name}: its size does not fit its shape; damaged")
