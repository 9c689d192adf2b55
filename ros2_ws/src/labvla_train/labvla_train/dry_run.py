"""What a run would do, without doing it: data, network, schedule, memory of a step."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from labvla_policy.model.checkpoint.read import DTYPES
from labvla_train.memory.estimate import StepPlan, estimate
from labvla_train.network.parts import Freezing
from labvla_train.optimizer import rate
from labvla_train.run import read_data
from labvla_train.samples import split
from labvla_train.settings import Settings

_TOLD = 5  # points of the schedule, the ends of warm-up and run among them


def plan(settings: Settings, beside: Path) -> Mapping[str, Any]:
    """Return facts that decide whether to begin."""
    origin, wordings, demonstrations = read_data(settings, beside)
    parts = split(
        [len(one) for one in demonstrations.episodes],
        settings.data.stride,
        settings.data.held_out,
        settings.run.seed,
    )
    memory = estimate(
        origin.sketch(demonstrations, wordings),
        StepPlan(
            batch=settings.run.batch,
            dtype=torch.float32,
            freezing=Freezing(freeze_vision_encoder=settings.run.freeze_vision),
        ),
    )
    run = settings.run
    pictures = demonstrations.dataset.pictures
    sizes = [pictures[name] for name in demonstrations.cameras]
    cached = sum(size.height * size.width * 3 for size in sizes)
    return {
        "dataset": settings.data.dataset,
        "episodes": len(demonstrations.episodes),
        "samples": len(parts.learnt),
        "held_out": len(parts.held_out),
        "cache_bytes": (
            cached * (len(parts.learnt) + len(parts.held_out))
            if settings.data.frames == "cached"
            else 0
        ),
        "parameters": memory.parameters,
        "trained": memory.trained,
        "checkpoint_bytes": memory.parameters * DTYPES[run.delivered].itemsize,
        "steps": run.steps,
        "samples_learnt": run.steps * run.batch,
        "epochs": run.steps * run.batch / len(parts.learnt),
        "rates": {
            str(step): [
                rate(step, highest, settings.optimizer, run.steps)
                for highest in (settings.optimizer.backbone_rate, settings.optimizer.expert_rate)
            ]
            for step in _told_steps(settings)
        },
        "memory_bytes": memory.as_json(),
    }


def _told_steps(settings: Settings) -> list[int]:
    last = settings.run.steps - 1
    warm = min(settings.optimizer.warmup, last)
    between = [warm + (last - warm) * part // (_TOLD - 2) for part in range(1, _TOLD - 1)]
    return sorted({0, warm, *between, last})
