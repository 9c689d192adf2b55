"""Low-rank additions (LoRA): large matrices stay, small ones beside them learn.

What is written afterwards is an ordinary checkpoint: the additions are merged into the matrices,
under their names.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from labvla_policy.model.errors import ConfigError
from labvla_policy.model.policy import Policy

_DOWN, _UP = "lora_down", "lora_up"


@dataclass(frozen=True, kw_only=True)
class LoraSettings:
    """How large the additions are, and what they are added to."""

    rank: int = 16
    alpha: float = 32.0  # the additions are scaled with alpha / rank
    targets: tuple[str, ...] = ()  # last names of the backbone's matrices; none: all of its layers'

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise ConfigError(f"lora: rank: expected at least 1, got {self.rank}")
        if not 0 < self.alpha < math.inf:
            raise ConfigError(f"lora: alpha: expected a number above 0, got {self.alpha}")

    @property
    def scale(self) -> float:
        """What the additions are multiplied with."""
        return self.alpha / self.rank


class LoraLinear(nn.Linear):
    """A linear layer with a low-rank addition; `weight` and `bias` keep their names."""

    def __init__(self, layer: nn.Linear, settings: LoraSettings) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.weight, self.bias = layer.weight, layer.bias
        self.scale = settings.scale
        # In fp32: steps of the size of a learning rate would be rounded away in bfloat16.
        place: dict[str, Any] = {"dtype": torch.float32, "device": layer.weight.device}
        self.lora_down = nn.Parameter(torch.empty(settings.rank, layer.in_features, **place))
        self.lora_up = nn.Parameter(torch.zeros(layer.out_features, settings.rank, **place))
        nn.init.kaiming_uniform_(self.lora_down, a=math.sqrt(5))

    def forward(self, values: Tensor) -> Tensor:
        """Apply the layer and its addition."""
        narrow = functional.linear(values, self.lora_down.to(values.dtype))
        added = functional.linear(narrow, self.lora_up.to(values.dtype))
        return functional.linear(values, self.weight, self.bias) + self.scale * added

    def merged(self) -> Tensor:
        """Return the matrix that does the same without an addition, in the matrix' type."""
        added = self.scale * (self.lora_up.float() @ self.lora_down.float())
        return (self.weight.float() + added).to(self.weight.dtype).detach()


def add_lora(policy: Policy, settings: LoraSettings) -> tuple[str, ...]:
    """Add to the backbone's layers; all else of the backbone is frozen. Return what was changed.

    The expert, small and new to the data, learns as a whole. Additions begin as zeros: the policy
    answers as before.
    """
    layers = policy.vlm.language_layers
    found = [
        (parent, child, layer)
        for parent in layers.modules()
        for child, layer in parent.named_children()
        if isinstance(layer, nn.Linear) and (not settings.targets or child in settings.targets)
    ]
    missing = set(settings.targets) - {child for _, child, _ in found}
    if missing or not found:
        known = sorted({_last(name) for name, layer in layers.named_modules() if _linear(layer)})
        raise ConfigError(
            f"lora: targets: expected some of {', '.join(known)}, got "
            f"{', '.join(sorted(missing)) or 'none that is there'}"
        )
    if any(isinstance(layer, LoraLinear) for _, _, layer in found):
        raise ConfigError("lora: the policy has low-rank additions already")
    for weight in policy.vlm.parameters():
        weight.requires_grad_(False)
    for parent, child, layer in found:
        setattr(parent, child, LoraLinear(layer, settings))
    return tuple(name for name, layer in policy.named_modules() if isinstance(layer, LoraLinear))


def halve_frozen(policy: Policy) -> None:
    """Keep the backbone's frozen weights in bfloat16: steps that would need more never come."""
    for weight in policy.vlm.parameters():
        if not weight.requires_grad:
            weight.data = weight.data.to(torch.bfloat16)


def merged_state(policy: nn.Module) -> dict[str, Callable[[], Tensor]]:
    """Return the weights under the names of a policy without additions; made when asked for."""
    layers = {
        f"{name}.weight": layer
        for name, layer in policy.named_modules()
        if isinstance(layer, LoraLinear)
    }
    return {
        name: layers[name].merged if name in layers else _given(tensor)
        for name, tensor in stored_tensors(policy).items()
        if _last(name) not in (_DOWN, _UP)
    }


def stored_tensors(module: nn.Module) -> dict[str, Tensor]:
    """Return what a checkpoint holds.

    As `state_dict`, which would turn weights that were put together into shares again (FSDP).
    """
    found: dict[str, Tensor] = dict(module.named_parameters(remove_duplicate=False))
    for prefix, part in module.named_modules():
        for name, table in part.named_buffers(prefix, recurse=False):
            if _last(name) not in part._non_persistent_buffers_set:
                found[name] = table
    return found


def _given(tensor: Tensor) -> Callable[[], Tensor]:
    return lambda: tensor


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _linear(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Linear)
