"""A second thing to learn from what the policy sees: where things are. Dropped when it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from labvla_policy.model.config import ModelConfig
from labvla_policy.model.inputs import Prefix
from labvla_policy.model.queries import Queries
from labvla_train.errors import TrainError

_LEAST_SPREAD = 1e-4


class Teller(Queries):
    """Tells the components of each thing."""

    def __init__(
        self,
        config: ModelConfig,
        columns: Sequence[Sequence[int]],
        mean: Sequence[float],
        spread: Sequence[float],
    ) -> None:
        numbers = [len(some) for some in columns]
        super().__init__(config.expert_width, config.dit_num_heads, config.source_width, numbers)
        self._columns = [list(some) for some in columns]
        self.register_buffer("mean", torch.tensor(mean))
        self.register_buffer("spread", torch.tensor(spread))

    def loss(self, prefix: Prefix, truth: Tensor) -> Tensor:
        """Mean distance, in standard deviations."""
        wanted = (truth - self.mean) / self.spread
        distances = [
            (told.float() - wanted[:, columns]).abs()
            for told, columns in zip(self.told(prefix), self._columns, strict=True)
        ]
        return torch.cat(distances, dim=1).mean()


def make_teller(
    things: Mapping[str, Sequence[str]],
    names: Sequence[str],
    truth: NDArray[np.float32],
    config: ModelConfig,
) -> Teller:
    """Return a teller of these things; `truth` is frames x all components of the column."""
    columns = [_columns(thing, wanted, names) for thing, wanted in things.items()]
    if not columns:
        raise TrainError("auxiliary.things: expected at least one thing with its components")
    spread = truth.std(axis=0)
    for column in (one for some in columns for one in some):
        if spread[column] < _LEAST_SPREAD:
            raise TrainError(
                f"auxiliary.things: {names[column]} never changes in the data: leave it out"
            )
    mean = truth.mean(axis=0).tolist()
    return Teller(config, columns, mean, np.maximum(spread, _LEAST_SPREAD).tolist())


def _columns(thing: str, wanted: Sequence[str], names: Sequence[str]) -> list[int]:
    if not isinstance(wanted, list) or not wanted:
        raise TrainError(f"auxiliary.things.{thing}: expected a list of components, got {wanted!r}")
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise TrainError(
            f"auxiliary.things.{thing}: {unknown[0]}: expected one of {', '.join(names)}"
        )
    return [list(names).index(name) for name in wanted]
