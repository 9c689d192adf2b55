"""One step of training on shapes alone: forwards, backwards, and the optimiser's step.

The same code runs on a real device, so that a small policy can check what is said of a large one.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from labvla_policy.model.errors import ConfigError
from labvla_policy.model.flow import FlowDraw
from labvla_policy.model.inputs import PolicyInputs
from labvla_policy.model.policy import Policy, TrainingBatch
from labvla_train.memory.fused import Kernel, fused_attention
from labvla_train.memory.meter import MemoryMeter
from labvla_train.network.lora import LoraSettings, add_lora
from labvla_train.network.parts import Freezing, Rates, freeze, parameter_groups
from labvla_train.network.recompute import Tower, recompute

_BETAS, _EPS = (0.9, 0.95), 1e-8


@dataclass(frozen=True, kw_only=True)
class StepPlan:
    """What is trained, and how."""

    batch: int = 1  # on one device
    dtype: torch.dtype = torch.bfloat16  # of the weights that compute
    freezing: Freezing = field(default_factory=Freezing)
    lora: LoraSettings | None = None
    recompute: tuple[Tower, ...] = ()
    tokens_alone: bool = False  # the first stage: no expert
    kernel: Kernel = "cuda"

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise ConfigError(f"batch: expected at least 1, got {self.batch}")


@dataclass(frozen=True)
class StepMemory:
    """Bytes, and the operations of a step."""

    parameters: int  # numbers
    trained: int  # of them
    weights: int
    masters: int  # fp32 copies of trained weights that compute in fewer bits
    gradients: int
    optimiser: int
    activations: int  # kept from forwards to backwards
    working: int  # most at a time beyond weights and all gradients
    flops: int

    @property
    def states(self) -> int:
        """What every step has and what processes can share out among them."""
        return self.weights + self.masters + self.gradients + self.optimiser

    @property
    def total(self) -> int:
        """Most at a time, on one device."""
        return self.states + self.working

    def shared(self, devices: int) -> int:
        """Most at a time on each of several devices that hold a share of the states (FSDP).

        Without the layers that are gathered for the moment: some hundred megabytes.
        """
        return self.states // devices + self.working

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return asdict(self) | {"states": self.states, "total": self.total}


def estimate(build: Callable[[], Policy], plan: StepPlan, device: str = "meta") -> StepMemory:
    """Take one step of AdamW and count."""
    place = torch.device(device)
    with place:
        policy = build().to(place, plan.dtype)
        if policy.config.knowledge_isolation:
            policy.ki_head.classifier.float()  # as everywhere
        policy.train()
        freeze(policy, plan.freezing)
        if plan.lora is not None:
            add_lora(policy, plan.lora)
        recompute(policy, plan.recompute)
    batch, drawn = _made_up(policy, plan.batch, place)
    columns = policy.config.max_action_dim
    with ExitStack() as stack:
        if place.type == "meta":
            stack.enter_context(fused_attention(plan.kernel))
        counter = stack.enter_context(FlopCounterMode(display=False))
        meter = stack.enter_context(MemoryMeter())
        weights = meter.hold([*policy.parameters(), *policy.buffers()])
        meter.hold(_tensors(batch, drawn))
        before = meter.bytes
        loss = (
            policy.token_loss(batch)
            if plan.tokens_alone
            else policy.losses(batch, drawn, columns).total
        )
        activations = meter.bytes - before
        loss.backward()
        del loss
        flops = counter.get_total_flops()
        gradients = sum(
            _size(weight.grad) for weight in policy.parameters() if weight.grad is not None
        )
        working = max(0, meter.peak - weights - gradients)
        masters, optimiser = _step(policy)
    return StepMemory(
        parameters=sum(weight.numel() for weight in policy.parameters()),
        trained=sum(weight.numel() for weight in policy.parameters() if weight.requires_grad),
        weights=weights,
        masters=masters,
        gradients=gradients,
        optimiser=optimiser,
        activations=activations,
        working=working,
        flops=flops,
    )


def _step(policy: Policy) -> tuple[int, int]:
    """Let the optimiser step on fp32 copies; return their bytes and those of its states."""
    groups = parameter_groups(policy, Rates())
    masters = 0
    for group in groups:
        copies = []
        for weight in group["params"]:
            copy = weight.detach().float()
            if copy is not weight and weight.dtype is not torch.float32:
                masters += _size(copy)
            copy.grad = None if weight.grad is None else weight.grad.float()
            copies.append(copy)
        group["params"] = copies
    optimiser = torch.optim.AdamW(groups, betas=_BETAS, eps=_EPS, foreach=False)
    optimiser.step()
    states = [
        value
        for state in optimiser.state.values()
        for value in state.values()
        if isinstance(value, Tensor)
    ]
    return masters, sum(map(_size, states))


def _size(tensor: Tensor) -> int:
    return tensor.untyped_storage().nbytes()


def _tensors(batch: TrainingBatch, drawn: FlowDraw) -> list[Tensor]:
    found = [*vars(batch.inputs).values(), *vars(batch).values(), *vars(drawn).values()]
    return [value for value in found if isinstance(value, Tensor)]


def _made_up(policy: Policy, count: int, device: torch.device) -> tuple[TrainingBatch, FlowDraw]:
    """Return a batch of the right shapes: numbers do not change what a step needs."""
    config, backbone = policy.config, policy.vlm
    with device:
        picture = backbone.pixel_plan(torch.zeros(3, *config.image_resolution, dtype=torch.uint8))
        words = (count, config.tokenizer_max_length)
        inputs = PolicyInputs(
            pixels=torch.zeros(count, backbone.camera_slots, *picture.shape),
            image_mask=torch.ones(count, backbone.camera_slots, dtype=torch.bool),
            text_ids=torch.zeros(words, dtype=torch.long),
            text_mask=torch.ones(words, dtype=torch.bool),
            state=torch.zeros(count, config.max_state_dim),
        )
        chunk = (count, config.chunk_size, config.max_action_dim)
        tokens = (count, config.discrete_action_max_length)
        isolated = config.knowledge_isolation
        batch = TrainingBatch(
            inputs,
            torch.zeros(chunk),
            torch.zeros(chunk[:2], dtype=torch.bool),
            torch.zeros(tokens, dtype=torch.long) if isolated else None,
            torch.ones(tokens, dtype=torch.bool) if isolated else None,
        )
        return batch, FlowDraw(torch.zeros(chunk), torch.full((count,), 0.5))
