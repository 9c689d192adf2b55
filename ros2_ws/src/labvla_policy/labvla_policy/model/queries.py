"""Queries that look at what the expert sees of an observation, and tell numbers about it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from labvla_policy.model.expert import ExpertAttention, FeedForward
from labvla_policy.model.inputs import Prefix


class Queries(nn.Module):
    """One query for each thing, which looks at the prefix and tells its numbers."""

    def __init__(self, width: int, heads: int, source_width: int, numbers: Sequence[int]) -> None:
        """Make them.

        Args:
            width: of a query.
            heads: of its attention.
            source_width: of the prefix' features.
            numbers: how many of them each thing has.
        """
        super().__init__()
        self.queries = nn.Parameter(torch.randn(len(numbers), width) * 0.02)
        self.look = ExpertAttention(heads, width // heads, source_width)
        self.think = FeedForward(width)
        self.tell = nn.ModuleList(nn.Linear(width, count) for count in numbers)

    def told(self, prefix: Prefix) -> list[Tensor]:
        """Return batch x numbers for each thing."""
        features = prefix.features[-1]
        tokens = self.queries.expand(len(features), -1, -1)
        found = self.look(tokens, self.look.keys_and_values(features), prefix.mask[:, None, None])
        found = found + self.think(functional.layer_norm(found, found.shape[-1:]))
        return [tell(found[:, number]) for number, tell in enumerate(self.tell)]
