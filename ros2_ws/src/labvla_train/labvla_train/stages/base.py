"""What the loop needs of a stage. A new stage is a module beside this one and a line in STAGES."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from labvla_train.batches import Batch
from labvla_train.demonstrations import Demonstrations
from labvla_train.origin import Network
from labvla_train.settings import Settings


class Learner(nn.Module, ABC):
    """Everything that is trained, as one module; what is frozen needs no gradient."""

    @abstractmethod
    def losses(self, batch: Batch, chance: torch.Generator) -> Mapping[str, Tensor]:
        """Return scalars; `total` is minimised, the others are told."""

    def forward(self, batch: Batch, chance: torch.Generator) -> Mapping[str, Tensor]:
        """Return the losses: what several processes go through together."""
        return self.losses(batch, chance)

    @abstractmethod
    def measure(self, batch: Batch) -> Mapping[str, list[float]]:
        """Return errors of the samples of a held-out batch, by name."""

    @abstractmethod
    def deliver(self, folder: Path) -> None:
        """Write the checkpoint that others run."""


Stage = Callable[[Settings, Network, Demonstrations], Learner]
