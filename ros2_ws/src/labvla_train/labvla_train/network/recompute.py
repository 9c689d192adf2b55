"""Gradient checkpointing: layers compute their inner values again instead of keeping them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Literal, cast, get_args

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from labvla_policy.model.errors import ConfigError
from labvla_policy.model.policy import Policy

Tower = Literal["language", "vision", "expert"]
TOWERS: tuple[Tower, ...] = get_args(Tower)


def recompute(policy: Policy, towers: Iterable[str]) -> int:
    """Let the blocks of these towers be computed twice; return how many there are."""
    blocks = [block for tower in towers for block in _blocks(policy, cast(Tower, tower))]
    for block in blocks:
        if "forward" in vars(block):
            raise ConfigError("gradient checkpointing: a block has it already; say it once")
        block.forward = partial(_twice, block.forward)
    return len(blocks)


def _twice(forward: nn.Module, *values: object, **named: object) -> object:
    if not torch.is_grad_enabled():
        return forward(*values, **named)
    return checkpoint(forward, *values, use_reentrant=False, **named)


def _blocks(policy: Policy, tower: Tower) -> Iterable[nn.Module]:
    match tower:
        case "language":
            blocks: Iterable[nn.Module] = policy.vlm.language_layers
        case "vision":
            blocks = policy.vlm.vision_blocks
        case "expert":
            blocks = policy.dit_action_head.transformer_blocks
        case _:
            raise ConfigError(
                f"gradient checkpointing: expected some of {', '.join(TOWERS)}, got {tower}"
            )
    return blocks
