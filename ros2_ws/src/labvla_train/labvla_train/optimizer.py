"""AdamW in groups, their learning rates, and the moving average of weights."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from labvla_train.network.parts import Part, decaying, part_of
from labvla_train.processes import as_shared, whole
from labvla_train.settings import OptimizerSettings

Named = tuple[str, nn.Parameter]

POLICY = "policy."  # what learners call the policy among their modules


def groups(module: nn.Module, settings: OptimizerSettings) -> list[dict[str, Any]]:
    """Return the optimizer's groups: backbone or not, decayed or not.

    The projection between backbone and expert, the heads and everything else learn as fast as the
    expert. One-dimensional parameters, biases and norms do not decay.
    """
    rates = {True: settings.backbone_rate, False: settings.expert_rate}
    sorted_: dict[tuple[bool, bool], list[Named]] = {}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            place = _of_backbone(name), decaying(name, parameter)
            sorted_.setdefault(place, []).append((name, parameter))
    return [
        {
            "params": [parameter for _, parameter in members],
            "names": [name for name, _ in members],
            "lr": rates[backbone],
            "highest": rates[backbone],
            "weight_decay": settings.weight_decay if decays else 0.0,
        }
        for (backbone, decays), members in sorted(sorted_.items())
    ]


def _of_backbone(name: str) -> bool:
    return part_of(name.removeprefix(POLICY)) is Part.BACKBONE


def rate(step: int, highest: float, settings: OptimizerSettings, steps: int) -> float:
    """Return the learning rate of a step, counted from 0."""
    warmup, decay = settings.warmup, settings.decay or steps
    if step < warmup:
        return highest * (step + 1) / (warmup + 1)
    share = min(1.0, (step - warmup) / max(1, decay - warmup))
    floor = min(settings.floor, highest)
    return floor + (highest - floor) * 0.5 * (1 + math.cos(math.pi * share))


def clip(parameters: Iterable[nn.Parameter], most: float) -> float:
    """Shorten the gradient to `most`; return how long it was."""
    return float(whole(torch.nn.utils.clip_grad_norm_(list(parameters), most)))


class Average:
    """A moving average of the trained weights, in fp32."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._decay = decay
        self.steps = 0
        self.weights = {name: p.detach().clone().float() for name, p in _trained(module)}

    def update(self, module: nn.Module) -> None:
        """Take the present weights in; the first ones are soon forgotten."""
        self.steps += 1
        decay = min(self._decay, (1 + self.steps) / (10 + self.steps))
        for name, parameter in _trained(module):
            self.weights[name].lerp_(parameter.detach().float(), 1 - decay)

    def load(self, weights: Mapping[str, Tensor], steps: int) -> None:
        """Go on from what was kept."""
        self.steps = steps
        for name, kept in self.weights.items():
            kept.copy_(as_shared(weights[name], kept))

    def exchange(self, module: nn.Module) -> None:
        """Swap average and weights; the same call swaps them back."""
        for name, parameter in _trained(module):
            weights = parameter.detach()
            present = weights.clone().float()
            weights.copy_(self.weights[name])
            self.weights[name].copy_(present)


def _trained(module: nn.Module) -> Iterator[Named]:
    return ((name, p) for name, p in module.named_parameters() if p.requires_grad)
