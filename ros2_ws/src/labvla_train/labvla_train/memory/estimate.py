"""One step of training on shapes alone: forwards, backwards, and the optimiser's step.

The same code runs on a real device, so that a small policy can check what is said of a large one.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from labvla_policy.model.errors import ConfigError
from labvla_policy.model.flow import FlowDraw
from labvla_policy.model.inputs import PolicyInputs
from labvla_policy.model.policy import Policy, TrainingBatch
from labvla_policy.model.progress import ProgressHead
from labvla_train import optimizer
from labvla_train.memory.fused import Kernel, fused_attention
from labvla_train.memory.meter import MemoryMeter
from labvla_train.network.lora import LoraSettings, add_lora
from labvla_train.network.parts import Freezing, freeze
from labvla_train.network.recompute import recompute
from labvla_train.settings import OptimizerSettings

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_FP32 = 4  # bytes of a number


@dataclass(frozen=True, kw_only=True)
class StepPlan:
    """What is trained, and how."""

    batch: int = 1  # on one device
    draws: int = 1  # of noise and time, for each observation
    precision: Literal["float32", "bfloat16"] = "bfloat16"  # of the products
    freezing: Freezing = field(default_factory=Freezing)
    lora: LoraSettings | None = None
    recompute: tuple[str, ...] = ()
    tokens_alone: bool = False  # the first stage: no expert
    progress_head: bool = False  # is learnt as well
    kernel: Kernel = "cuda"

    def __post_init__(self) -> None:
        if self.batch < 1 or self.draws < 1:
            raise ConfigError(
                f"batch, draws: expected at least 1, got {self.batch} and {self.draws}"
            )


@dataclass(frozen=True)
class StepMemory:
    """Bytes, and the operations of a step."""

    parameters: int  # numbers
    trained: int  # of them
    weights: int  # as they compute
    masters: int  # the same in fp32, where products are in fewer bits and weights are not frozen
    gradients: int
    optimiser: int
    activations: int  # kept from forwards to backwards
    working: int  # most at a time beyond weights and all gradients
    flops: int  # products alone; 0 where the step was taken for real

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


class _Learner(nn.Module):
    """What a step teaches."""

    def __init__(self, policy: Policy, plan: StepPlan) -> None:
        super().__init__()
        self.policy = policy
        self.progress = None
        if plan.progress_head:
            self.progress = ProgressHead(policy.config).to(policy.dtype)
        self._tokens_alone = plan.tokens_alone

    def loss(self, batch: TrainingBatch, drawn: FlowDraw) -> Tensor:
        """Return what is minimised, but for weights."""
        if self._tokens_alone:
            return self.policy.token_loss(batch)
        found = self.policy.losses(batch, drawn, self.policy.config.max_action_dim)
        if self.progress is None:
            return found.total
        done = batch.actions.new_zeros(len(batch.actions))
        return found.total + self.progress.loss(found.seen, done)


def estimate(build: Callable[[], Policy], plan: StepPlan, device: str = "meta") -> StepMemory:
    """Take one step of AdamW and count."""
    place = torch.device(device)
    with place:
        policy = build().to(place, _DTYPES[plan.precision])
        if policy.config.knowledge_isolation:
            policy.ki_head.classifier.float()  # as everywhere
        policy.train()
        freeze(policy, plan.freezing)
        if plan.lora is not None:
            add_lora(policy, plan.lora)
        recompute(policy, plan.recompute)
        learner = _Learner(policy, plan)
    batch, drawn = _made_up(policy, plan, place)
    with ExitStack() as stack:
        if place.type == "meta":
            stack.enter_context(fused_attention(plan.kernel))
        flops = _flops(learner, batch, drawn)
        meter = stack.enter_context(MemoryMeter())
        weights = meter.hold([*learner.parameters(), *learner.buffers()])
        meter.hold(_tensors(batch, drawn))
        before = meter.bytes
        loss = learner.loss(batch, drawn)
        activations = meter.bytes - before
        loss.backward()
        del loss
        found = [weight.grad for weight in learner.parameters() if weight.grad is not None]
        working = max(0, meter.peak - weights - sum(map(_size, found)))
        optimiser = _step(learner)
    return StepMemory(
        parameters=sum(weight.numel() for weight in learner.parameters()),
        trained=sum(weight.numel() for weight in learner.parameters() if weight.requires_grad),
        weights=weights,
        masters=_masters(learner, plan),
        gradients=sum(_FP32 * gradient.numel() for gradient in found),
        optimiser=optimiser,
        activations=activations,
        working=working,
        flops=flops,
    )


def _flops(learner: _Learner, batch: TrainingBatch, drawn: FlowDraw) -> int:
    """Count in a pass of its own: the counter holds on to tensors longer than training does."""
    if not batch.actions.is_meta:
        return 0
    with FlopCounterMode(display=False) as counter:
        learner.loss(batch, drawn).backward()
    learner.zero_grad(set_to_none=True)
    gc.collect()
    found: int = counter.get_total_flops()
    return found


def _masters(learner: _Learner, plan: StepPlan) -> int:
    if plan.precision == "float32":
        return 0
    halved = plan.lora is not None  # frozen weights are kept in fewer bits then
    return sum(
        _FP32 * weight.numel()
        for weight in learner.parameters()
        if weight.requires_grad or not halved
    )


def _step(learner: _Learner) -> int:
    """Let the optimiser step in fp32; return the bytes of its states."""
    settings = OptimizerSettings()
    groups = optimizer.groups(learner, settings)
    for group in groups:
        group["params"] = [_in_fp32(weight) for weight in group["params"]]
    steps = torch.optim.AdamW(groups, betas=settings.betas, eps=settings.eps, foreach=False)
    steps.step()
    return sum(
        _size(value)
        for state in steps.state.values()
        for value in state.values()
        if isinstance(value, Tensor)
    )


def _in_fp32(weight: Tensor) -> Tensor:
    copy = weight.detach().float()
    copy.grad = None if weight.grad is None else weight.grad.float()
    return copy


def _size(tensor: Tensor) -> int:
    size: int = tensor.untyped_storage().nbytes()
    return size


def _tensors(batch: TrainingBatch, drawn: FlowDraw) -> list[Tensor]:
    found = [*vars(batch.inputs).values(), *vars(batch).values(), *vars(drawn).values()]
    return [value for value in found if isinstance(value, Tensor)]


def _made_up(
    policy: Policy, plan: StepPlan, device: torch.device
) -> tuple[TrainingBatch, FlowDraw]:
    """Return a batch of the right shapes: numbers do not change what a step needs."""
    config, backbone, count = policy.config, policy.vlm, plan.batch
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
        drawn = count * plan.draws
        return batch, FlowDraw(torch.zeros(drawn, *chunk[1:]), torch.full((drawn,), 0.5))
