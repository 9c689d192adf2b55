"""One process, or several that share out every batch: on CPUs, on one GPU, on many.

`accelerate launch` starts them and says how they work together (copies, or shares of the weights).
The sum of what they do is what one process does with the whole batch, but for rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor, distribute_tensor

from labvla_train.errors import TrainError
from labvla_train.share import Share

Moved = TypeVar("Moved")


class Processes:
    """All processes of a run, seen from one of them."""

    def __init__(self, batch: int) -> None:
        self._accelerator = Accelerator()
        self.device: torch.device = self._accelerator.device
        self.share = Share(self._accelerator.process_index, self._accelerator.num_processes)
        if batch % self.share.of:
            raise TrainError(
                f"run.batch: expected a multiple of the {self.share.of} processes, got {batch}"
            )

    @property
    def first(self) -> bool:
        """Whether this one writes and tells."""
        return self.share.place == 0

    def join(
        self, learner: nn.Module, optimizer: torch.optim.Optimizer
    ) -> tuple[nn.Module, torch.optim.Optimizer]:
        """Return what to call and what to step with, so that all learn the same."""
        if self.share.of == 1:
            return learner, optimizer
        joined = self._accelerator.prepare(learner, optimizer)
        return joined[0], joined[1]

    def mean(self, values: Mapping[str, Tensor]) -> dict[str, float]:
        """Return means over all processes."""
        told = torch.stack([value.detach().float().to(self.device) for value in values.values()])
        if self.share.of > 1:
            told = self._accelerator.reduce(told, reduction="mean")
        return dict(zip(values, told.tolist(), strict=True))

    @contextmanager
    def first_before_others(self) -> Iterator[None]:
        """Within it, the first process does what the others then find done."""
        with self._accelerator.main_process_first():
            yield

    def wait(self) -> None:
        """Wait for all others."""
        self._accelerator.wait_for_everyone()

    def moved(self, values: Moved) -> Moved:
        """Return a batch with its tensors on this process' device."""
        return values if self.device.type == "cpu" else _moved(values, self.device)


@contextmanager
def gathered(learner: nn.Module) -> Iterator[None]:
    """Within it, weights that processes hold shares of are whole on each of them."""
    sharing = [module for module in learner.modules() if isinstance(module, FSDPModule)]
    for module in sharing:
        module.unshard()
    try:
        yield
    finally:
        for module in sharing:
            module.reshard()


def whole(tensor: Tensor) -> Tensor:
    """Return all of a tensor; every process that holds a share of it has to ask."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def as_shared(tensor: Tensor, like: Tensor) -> Tensor:
    """Return this process' share of a whole tensor, where `like` is a share."""
    if isinstance(like, DTensor) and tensor.ndim:
        return distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements)
    return tensor


def _moved(values: Any, device: torch.device) -> Any:
    if isinstance(values, Tensor):
        return values.to(device, non_blocking=True)
    if is_dataclass(values) and not isinstance(values, type):
        moved = {
            field.name: _moved(getattr(values, field.name), device) for field in fields(values)
        }
        return replace(values, **moved)
    return values
