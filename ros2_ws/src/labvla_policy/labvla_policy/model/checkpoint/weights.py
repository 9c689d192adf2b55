"""Weights from files into a policy that has none yet: mapped, checked, put on the device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from labvla_policy.model.checkpoint.header import StoredTensor, read_header
from labvla_policy.model.checkpoint.keys import (
    CLASSIFIER,
    EMBEDDING,
    KI_PARTS,
    LANGUAGE_HEAD,
    POSITION_TABLE,
    check_names,
    policy_names,
)
from labvla_policy.model.checkpoint.source import CheckpointFolder
from labvla_policy.model.errors import CheckpointError
from labvla_policy.model.json_files import read_json
from labvla_policy.model.policy import Policy

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
# One unit in the last place of bfloat16 just below 1: stored tables are rounded to it.
_TABLE_TOLERANCE = 2.0**-8


@dataclass(frozen=True)
class StoredWeights:
    """The table of contents of one file or of several, in the policy's names."""

    tensors: Mapping[str, StoredTensor]
    places: Mapping[str, tuple[Path, str]]  # file, and name in it
    where: str


def find_weights(folder: CheckpointFolder) -> StoredWeights:
    """Read the headers of a checkpoint's weights."""
    single, index = folder.find(WEIGHTS), folder.find(INDEX)
    if single is None and index is None:
        raise CheckpointError(f"{folder.root / WEIGHTS}: missing; this is no checkpoint's folder")
    files = [single] if single is not None else _shards(index)
    headers = {path: read_header(path) for path in files}
    where = str(single or index)
    names = policy_names((name for header in headers.values() for name in header), where)
    stored = {name: (path, header) for path, header in headers.items() for name in header}
    return StoredWeights(
        tensors={ours: stored[theirs][1][theirs] for ours, theirs in names.items()},
        places={ours: (stored[theirs][0], theirs) for ours, theirs in names.items()},
        where=where,
    )


def _shards(index: Path | None) -> list[Path]:
    assert index is not None
    table = read_json(index).get("weight_map")
    if not isinstance(table, dict) or not table:
        raise CheckpointError(f"{index}: weight_map: expected the files of the weights")
    names = sorted({str(name) for name in table.values()})
    outside = [name for name in names if Path(name).name != name]
    if outside:
        raise CheckpointError(f"{index}: expected names of files beside it, got {outside[0]}")
    return [index.parent / name for name in names]


def load_weights(
    policy: Policy, weights: StoredWeights, dtype: torch.dtype, device: torch.device
) -> None:
    """Fill a policy that was built on the meta device.

    Files are mapped, not read: on a CPU, weights that have the wanted type already are the file
    itself, paged in as they are used. Nothing is ever held twice.
    """
    expected = {name: tuple(tensor.shape) for name, tensor in policy.state_dict().items()}
    check_names(weights.tensors, expected, _optional(policy, weights), weights.where)
    with ExitStack() as stack:
        files = {path: stack.enter_context(mapped(path)) for path, _ in weights.places.values()}

        def stored(name: str) -> Tensor:
            path, key = weights.places[name]
            return files[path].get_tensor(key)

        both = weights.tensors.keys() >= {EMBEDDING, LANGUAGE_HEAD}
        if both and not torch.equal(stored(EMBEDDING), stored(LANGUAGE_HEAD)):
            policy.vlm.untie_language_head()
        for name, parameter in list(policy.named_parameters()):
            source = name if name in weights.tensors else LANGUAGE_HEAD
            tensor = finite(stored(source), source, weights.where)
            kept = torch.float32 if name == CLASSIFIER else dtype
            _assign(policy, name, parameter, tensor.to(device=device, dtype=kept))
        for name, table in policy.named_buffers():
            if name.endswith(POSITION_TABLE) and name in weights.tensors:
                _check_table(stored(name), table, name, weights.where)
    policy.vlm.retie_language_head()
    policy.to(device)  # tables, which are computed and not stored


def mapped(path: Path) -> Any:
    """Open a file of weights without reading it."""
    try:
        return safe_open(path, framework="pt")
    except SafetensorError as error:
        raise CheckpointError(f"{path}: damaged: {error}") from None


def _optional(policy: Policy, weights: StoredWeights) -> Iterator[str]:
    """Names that may be there or not: one of two equal matrices, tables, parts without a use."""
    if weights.tensors.keys() & {EMBEDDING, LANGUAGE_HEAD}:
        yield from (EMBEDDING, LANGUAGE_HEAD)
    yield from (name for name in policy.state_dict() if name.endswith(POSITION_TABLE))
    if not policy.config.knowledge_isolation:
        yield from (name for name in weights.tensors if name.startswith(KI_PARTS))


def finite(tensor: Tensor, name: str, where: str) -> Tensor:
    """Return a tensor that holds numbers; refuse another."""
    # The extremes show NaN and infinity without a mask of the tensor's size. Hundreds of such masks
    # would leave holes in the heap that nothing else fits into: gigabytes of them.
    if tensor.numel() and not all(map(torch.isfinite, torch.aminmax(tensor))):
        raise CheckpointError(
            f"{where}: {name} holds NaN or infinity: the training that wrote it went wrong"
        )
    return tensor


def _assign(policy: Policy, name: str, old: nn.Parameter, tensor: Tensor) -> None:
    path, _, attribute = name.rpartition(".")
    parameter = nn.Parameter(tensor, requires_grad=old.requires_grad)
    setattr(policy.get_submodule(path), attribute, parameter)


def _check_table(stored: Tensor, computed: Tensor, name: str, where: str) -> None:
    """The table is fixed: a file with another one was made by another architecture."""
    difference = (stored.float() - computed.float().cpu()).abs().max().item()
    if not difference <= _TABLE_TOLERANCE:
        raise CheckpointError(
            f"{where}: {name}: expected sines and cosines of the position, got values that differ "
            f"by up to {difference:g}: weights of another architecture"
        )
