"""A policy as a checkpoint's folder, in the released layout: all of it or nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from labvla_policy.model.checkpoint.keys import PREFIX
from labvla_policy.model.checkpoint.progress import DESCRIPTION, PROGRESS_HEAD, PROGRESS_WEIGHTS
from labvla_policy.model.checkpoint.read import DTYPES, PROCESSOR_CONFIG, VLM_CONFIG
from labvla_policy.model.checkpoint.source import CONFIG, INCOMPLETE, CheckpointFolder
from labvla_policy.model.checkpoint.stream import (
    Produce,
    Progress,
    Specs,
    specs_of,
    write_tensors,
)
from labvla_policy.model.checkpoint.weights import WEIGHTS
from labvla_policy.model.config import ModelConfig
from labvla_policy.model.control import CONTROL, ControlContract
from labvla_policy.model.errors import CheckpointError
from labvla_policy.model.json_files import write_json
from labvla_policy.model.pipeline.norm_stats import NORM_STATS, NormStats
from labvla_policy.model.pipeline.schema import SCHEMA, DataSchema
from labvla_policy.model.pipeline.text import TOKENIZER, TOKENIZER_CONFIG
from labvla_policy.model.policy import Policy
from labvla_policy.model.progress import ProgressHead

TOKENIZER_FILES = (
    TOKENIZER,
    TOKENIZER_CONFIG,
    "vocab.json",
    "merges.txt",
    "chat_template.json",
)


@dataclass(frozen=True, eq=False)
class Description:
    """Everything in a checkpoint but its weights."""

    config: ModelConfig
    vlm: Mapping[str, Any]
    processor: Mapping[str, Any]
    schema: DataSchema | None = None  # None: a base, which cannot act before it is fine-tuned
    stats: NormStats | None = None
    tokenizer_files: Mapping[str, bytes] = field(default_factory=dict)
    control: ControlContract = field(default_factory=ControlContract)
    other_config: Mapping[str, Any] = field(default_factory=dict)  # of training, kept as it is


def tokenizer_files(folder: CheckpointFolder) -> dict[str, bytes]:
    """Read what belongs to a tokenizer, to write it beside weights that were trained with it."""
    found = {name: folder.find(name) for name in TOKENIZER_FILES}
    return {name: path.read_bytes() for name, path in found.items() if path is not None}


def write_checkpoint(
    folder: Path,
    policy: Policy,
    description: Description,
    *,
    progress_head: ProgressHead | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> None:
    """Write a policy; both of two tied matrices, as the released file has them."""
    state = {f"{PREFIX}{name}": tensor for name, tensor in policy.state_dict().items()}
    write_weights(
        folder,
        specs_of(state),
        state.__getitem__,
        description,
        progress_head=None if progress_head is None else progress_head.state_dict(),
        overwrite=overwrite,
        progress=progress,
    )


def write_weights(
    folder: Path,
    specs: Specs,
    produce: Produce,
    description: Description,
    *,
    progress_head: Mapping[str, Tensor] | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> None:
    """Write weights that are made one by one, with everything around them.

    `progress_head` is that head's weights, where there is one.
    """
    with _complete_or_absent(folder, overwrite) as draft:
        write_json(draft / CONFIG, _config(description, specs, progress_head is not None))
        write_json(draft / VLM_CONFIG, description.vlm)
        write_json(draft / PROCESSOR_CONFIG, description.processor)
        if description.schema is not None:
            write_json(draft / SCHEMA, description.schema.as_json())
        if description.stats is not None:
            write_json(draft / NORM_STATS, description.stats.raw)
        for name, content in description.tokenizer_files.items():
            (draft / name).write_bytes(content)
        write_tensors(draft / WEIGHTS, specs, produce, progress)
        if progress_head is not None:
            specs = specs_of(progress_head)
            write_tensors(draft / PROGRESS_WEIGHTS, specs, progress_head.__getitem__)


def _config(description: Description, specs: Specs, progress_head: bool) -> dict[str, Any]:
    names = {dtype: name for name, dtype in DTYPES.items()}
    sizes: dict[torch.dtype, int] = {}
    for dtype, _ in specs.values():
        sizes[dtype] = sizes.get(dtype, 0) + 1
    stored = max(sizes, key=lambda dtype: sizes[dtype])
    values = dict(description.other_config) | description.config.as_json()
    values.pop(PROGRESS_HEAD, None)  # of what the policy was before
    control = description.control.as_json()
    return (
        values
        | {"dtype": names[stored]}
        | ({CONTROL: control} if control else {})
        | ({PROGRESS_HEAD: dict(DESCRIPTION)} if progress_head else {})
    )


@contextmanager
def _complete_or_absent(folder: Path, overwrite: bool) -> Iterator[Path]:
    """Give a folder to write into, which takes its name only when everything is in it."""
    folder = folder.absolute()
    if folder.exists() and not overwrite:
        raise CheckpointError(f"{folder}: exists already; choose another name or allow overwriting")
    draft = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        draft.mkdir(parents=True)
        (draft / INCOMPLETE).touch()
        yield draft
        (draft / INCOMPLETE).unlink()
        _replace(draft, folder)
    except OSError as error:
        raise CheckpointError(f"{folder}: cannot be written: {error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _replace(draft: Path, folder: Path) -> None:
    if not folder.exists():
        draft.rename(folder)
        return
    old = folder.with_name(f".{folder.name}.old-{os.getpid()}")
    folder.rename(old)
    draft.rename(folder)
    shutil.rmtree(old)
