"""What a run would do, without doing it: data and schedule; `memory.needs` tells the rest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labvla_train.optimizer import rate
from labvla_train.run import read_data
from labvla_train.samples import split
from labvla_train.settings import Settings

_TOLD = 5  # points of the schedule, the ends of warm-up and run among them


def plan(stage: str, settings: Settings, beside: Path) -> Mapping[str, Any]:
    """Return facts about data and schedule that decide whether to begin."""
    _, _, demonstrations = read_data(stage, settings, beside)
    parts = split(
        [len(one) for one in demonstrations.episodes],
        settings.data.stride,
        settings.data.held_out,
        settings.run.seed,
    )
    run = settings.run
    pictures = demonstrations.dataset.pictures
    sizes = [pictures[name] for name in demonstrations.cameras]
    cached = sum(size.height * size.width * 3 for size in sizes)
    return {
        "dataset": ", ".join(map(str, settings.data.folders)),
        "episodes": len(demonstrations.episodes),
        "samples": len(parts.learnt),
        "held_out": len(parts.held_out),
        "cache_bytes": (
            cached * (len(parts.learnt) + len(parts.held_out))
            if settings.data.frames == "cached"
            else 0
        ),
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
    }


def _told_steps(settings: Settings) -> list[int]:
    last = settings.run.steps - 1
    warm = min(settings.optimizer.warmup, last)
    between = [warm + (last - warm) * part // (_TOLD - 2) for part in range(1, _TOLD - 1)]
    return sorted({0, warm, *between, last})
