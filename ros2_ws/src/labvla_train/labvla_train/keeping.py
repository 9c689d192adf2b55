"""A run's folder: checkpoints that others run, each with what it takes to go on exactly.

RUN/settings.json
RUN/checkpoint-00001000/              a checkpoint in the released layout
RUN/checkpoint-00001000/training_state/   weights in fp32, optimizer, average, step
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from labvla_data.files import make_safe, sync_folder
from labvla_data.json_files import JsonFileError, read_json, write_json
from labvla_policy.model.checkpoint.stream import specs_of, write_tensors
from labvla_train.errors import TrainError
from labvla_train.processes import as_shared, whole

SETTINGS = "settings.json"
STATE = "training_state"
_NUMBERS, _TENSORS = "state.json", "state.safetensors"
_NAME = "checkpoint-{step:08d}"


@dataclass(frozen=True, eq=False)
class Kept:
    """Where a run stands."""

    numbers: Mapping[str, Any]  # `step`, and what else is no tensor
    tensors: Mapping[str, Tensor]


def checkpoints(run: Path) -> list[Path]:
    """Return the checkpoints of a run, oldest first."""
    return sorted(run.glob(_NAME.format(step=0).replace("0" * 8, "[0-9]" * 8)))


def newest(run: Path) -> Path | None:
    """Return the newest checkpoint that can be gone on from."""
    whole = [path for path in checkpoints(run) if (path / STATE / _NUMBERS).is_file()]
    return whole[-1] if whole else None


def read_kept(checkpoint: Path) -> Kept:
    """Read where a run stood."""
    folder = checkpoint / STATE
    try:
        numbers = read_json(folder / _NUMBERS)
        with safe_open(folder / _TENSORS, framework="pt") as file:
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except (JsonFileError, SafetensorError, OSError) as error:
        raise TrainError(
            f"{folder}: cannot be gone on from: {error}; delete {checkpoint.name} to go on from "
            "the one before"
        ) from None
    return Kept(numbers, tensors)


def keep(run: Path, step: int, kept: Kept, deliver: Any, most: int) -> Path:
    """Write a checkpoint: all of it or nothing; of older ones, only what others run is kept."""
    final = run / _NAME.format(step=step)
    draft = run / f".{final.name}.new"
    shutil.rmtree(draft, ignore_errors=True)
    deliver(draft)
    (draft / STATE).mkdir()
    write_tensors(draft / STATE / _TENSORS, specs_of(kept.tensors), kept.tensors.__getitem__)
    write_json(draft / STATE / _NUMBERS, {**kept.numbers, "step": step})
    make_safe(draft)
    shutil.rmtree(final, ignore_errors=True)
    draft.rename(final)
    sync_folder(run)
    for old in checkpoints(run)[:-most]:
        shutil.rmtree(old / STATE, ignore_errors=True)
    return final


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the moments of AdamW by the names of the parameters."""
    tensors = {}
    for group in optimizer.param_groups:
        for name, parameter in zip(group["names"], group["params"], strict=True):
            for key, value in optimizer.state.get(parameter, {}).items():
                tensors[f"optimizer.{key}.{name}"] = whole(value).float()
    return tensors


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put the moments back."""
    for group in optimizer.param_groups:
        for name, parameter in zip(group["names"], group["params"], strict=True):
            state = {
                key: as_shared(tensors[f"optimizer.{key}.{name}"], parameter)
                for key in ("step", "exp_avg", "exp_avg_sq")
                if f"optimizer.{key}.{name}" in tensors
            }
            if state:
                optimizer.state[parameter] = state
