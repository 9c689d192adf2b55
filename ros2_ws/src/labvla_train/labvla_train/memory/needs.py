"""What a run would need, told from its settings alone: no data, no weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labvla_policy.model.backbone.mini import mini_config
from labvla_policy.model.backbone.public import PUBLIC_BACKBONE
from labvla_policy.model.build import build_policy
from labvla_policy.model.checkpoint.source import CheckpointFolder
from labvla_policy.model.config import ModelConfig
from labvla_policy.model.errors import ModelError
from labvla_policy.model.policy import Policy
from labvla_train.errors import TrainError
from labvla_train.memory.estimate import StepMemory, StepPlan, estimate
from labvla_train.network.parts import Freezing
from labvla_train.network.start import read_beginning, staged
from labvla_train.origin import own_config
from labvla_train.progress import refuse_without_policy
from labvla_train.settings import Settings

_WORDS = 1000  # of a small policy's vocabulary, which only the data know


@dataclass(frozen=True)
class Needs:
    """What one step needs."""

    memory: StepMemory
    devices: int
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            **self.memory.as_json(),
            "devices": self.devices,
            "total_per_device": self.memory.shared(self.devices),
            "notes": list(self.notes),
        }

    def lines(self) -> tuple[str, ...]:
        """For people."""
        memory = self.memory
        shared = (
            (
                f"  on each of {self.devices} devices that share out weights and states: "
                f"{_gb(memory.shared(self.devices))}",
            )
            if self.devices > 1
            else ()
        )
        return (
            f"{memory.parameters:,} weights, {memory.trained:,} of them learn",
            f"  weights {_gb(memory.weights)}, in fp32 beside them {_gb(memory.masters)}, "
            f"gradients {_gb(memory.gradients)}, optimiser {_gb(memory.optimiser)}",
            f"  kept from forwards to backwards {_gb(memory.activations)}",
            f"  most at a time on a device that has all of it: {_gb(memory.total)}",
            *shared,
            f"  {memory.flops / 1e12:,.3g} TFLOP in a step, on each device",
            *(f"note: {note}" for note in self.notes),
        )


def needs(stage: str, settings: Settings, *, devices: int = 1) -> Needs:
    """Take one step on shapes alone."""
    if devices < 1 or settings.run.batch % devices:
        raise TrainError(
            f"devices: expected a number that run.batch ({settings.run.batch}) can be shared out "
            f"to, got {devices}"
        )
    refuse_without_policy(stage, settings)
    try:
        build, notes = _network(stage, settings)
        plan = StepPlan(
            batch=settings.run.batch // devices,
            draws=settings.run.draws,
            precision=settings.run.precision,
            freezing=Freezing(
                freeze_vision_encoder=settings.run.freeze_vision, train_vlm_only=stage == "fast"
            ),
            lora=settings.lora,
            recompute=settings.run.recompute,
            tokens_alone=stage == "fast",
            progress_head=settings.progress is not None,
        )
        return Needs(estimate(build, plan), devices, notes)
    except ModelError as error:
        raise TrainError(str(error)) from None


def _network(stage: str, settings: Settings) -> tuple[Callable[[], Policy], tuple[str, ...]]:
    vlm: Mapping[str, Any]
    processor: Mapping[str, Any] = {}
    notes: tuple[str, ...] = ()
    if settings.start is None:
        config = staged(own_config(settings), stage)
        vlm = mini_config({"vocab_size": _WORDS, **settings.network.backbone}).as_json()
        notes = (f"a vocabulary of {_WORDS:,} words is taken: only the data know it",)
    elif Path(settings.start).is_dir():
        beginning = read_beginning(CheckpointFolder(Path(settings.start)))
        config = staged(beginning.config, stage)
        vlm, processor = beginning.vlm, beginning.processor
    else:
        config, vlm = staged(ModelConfig(), stage), PUBLIC_BACKBONE
        notes = (f"{settings.start}: no such folder here: the public sizes are taken",)
    return lambda: build_policy(config, vlm, processor), notes


def _gb(size: int) -> str:
    return f"{size / 1e9:,.3g} GB"
