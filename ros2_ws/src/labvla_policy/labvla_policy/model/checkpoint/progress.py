"""The progress head of a checkpoint: a file of its own, and a key of ours in config.json.

config.json             {…, "progress_head": {"tells": "episode_share"}}
progress_head.safetensors   its weights, in the type of the others

Readers that do not know of it find the released layout unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from labvla_policy.model.checkpoint.header import read_header
from labvla_policy.model.checkpoint.keys import check_names
from labvla_policy.model.checkpoint.source import CheckpointFolder
from labvla_policy.model.checkpoint.weights import finite, mapped
from labvla_policy.model.config import ModelConfig
from labvla_policy.model.errors import ConfigError
from labvla_policy.model.progress import ProgressHead

PROGRESS_HEAD = "progress_head"  # the key
PROGRESS_WEIGHTS = "progress_head.safetensors"
DESCRIPTION: Mapping[str, Any] = {"tells": "episode_share"}


def has_progress_head(config: Mapping[str, Any], where: str) -> bool:
    """Whether config.json says that there is one."""
    said = config.get(PROGRESS_HEAD)
    if said not in (None, DESCRIPTION):
        raise ConfigError(
            f"{where}: {PROGRESS_HEAD}: expected {dict(DESCRIPTION)}, got {said!r}: written by "
            "another version"
        )
    return said is not None


def read_progress_head(
    folder: CheckpointFolder, config: ModelConfig, *, device: torch.device, dtype: torch.dtype
) -> ProgressHead:
    """Read its weights."""
    path = folder.need(PROGRESS_WEIGHTS, f"config.json says that there is a {PROGRESS_HEAD}")
    with torch.device("meta"):
        head = ProgressHead(config)
    expected = {name: tuple(tensor.shape) for name, tensor in head.state_dict().items()}
    check_names(read_header(path), expected, (), str(path))
    with mapped(path) as file:
        tensors = {
            name: finite(file.get_tensor(name), name, str(path)).to(device, dtype, copy=True)
            for name in expected
        }
    head.load_state_dict(tensors, assign=True)
    head.eval()
    return head
