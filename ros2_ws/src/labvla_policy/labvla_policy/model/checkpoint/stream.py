"""Writes a safetensors file tensor after tensor: never more than one of them is in memory."""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from labvla_policy.model.errors import Unavailable

_NAMES = {torch.bfloat16: "BF16", torch.float16: "F16", torch.float32: "F32"}
_ALIGNMENT = 8

Specs = Mapping[str, tuple[torch.dtype, tuple[int, ...]]]
Produce = Callable[[str], Tensor]
Progress = Callable[[int, int], None]  # bytes written, bytes in all


def specs_of(tensors: Mapping[str, Tensor]) -> Specs:
    """Return what announces tensors that are there already."""
    return {name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in tensors.items()}


def write_tensors(
    path: Path, specs: Specs, produce: Produce, progress: Progress | None = None
) -> None:
    """Write what `specs` announces; `produce` makes one tensor at a time."""
    # The widest types first: every tensor then begins where its type may begin.
    names = sorted(specs, key=lambda name: (-specs[name][0].itemsize, name))
    sizes = {name: tensor_bytes(*specs[name]) for name in names}
    total = sum(sizes.values())
    free = shutil.disk_usage(path.parent).free
    if free < total:
        raise Unavailable(f"{path}: needs {total:,} bytes, and the disk has {free:,} left")
    with path.open("wb") as file:
        file.write(_header(names, specs, sizes))
        written = 0
        for name in names:
            tensor = produce(name)
            dtype, shape = specs[name]
            if tensor.dtype != dtype or tuple(tensor.shape) != shape:
                raise ValueError(
                    f"{name}: announced {dtype} {shape}, got {tensor.dtype} {tuple(tensor.shape)}"
                )
            flat = tensor.detach().cpu().contiguous().flatten().view(torch.uint8)
            file.write(memoryview(flat.numpy()))
            written += sizes[name]
            if progress is not None:
                progress(written, total)
        file.flush()
        os.fsync(file.fileno())


def tensor_bytes(dtype: torch.dtype, shape: tuple[int, ...]) -> int:
    """Return how many bytes of a file such a tensor takes."""
    size: int = dtype.itemsize
    for length in shape:
        size *= length
    return size


def _header(names: list[str], specs: Specs, sizes: Mapping[str, int]) -> bytes:
    table: dict[str, object] = {"__metadata__": {"format": "pt"}}
    begin = 0
    for name in names:
        dtype, shape = specs[name]
        end = begin + sizes[name]
        table[name] = {
            "dtype": _NAMES[dtype], "shape": list(shape), "data_offsets": [begin, end]
        }  # fmt: skip
        begin = end
    text = json.dumps(table, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return struct.pack("<Q", len(text)) + text
