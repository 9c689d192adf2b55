"""A sequence of embedded tokens: the prefix, and what is put before or after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import torch
from torch import Tensor


class Segment(IntEnum):
    """Parts of a sequence, in the order in which they may see each other."""

    PREFIX = 0  # state token, pictures, instruction
    ANNOTATION = 1
    ACTION = 2  # discrete action tokens


@dataclass(frozen=True, eq=False)
class TokenSequence:
    """Embedded tokens with what attention has to know of them."""

    embeddings: Tensor  # batch x length x width
    mask: Tensor  # batch x length, bool
    positions: Tensor  # axes x batch x length
    segments: tuple[tuple[Segment, int], ...]  # runs of equal segments; fixed for all of a batch

    def with_state(self, token: Tensor) -> TokenSequence:
        """Put one always visible token in front; every other position moves on by one."""
        batch, ones = len(token), token.new_ones((len(token), 1), dtype=torch.bool)
        first = self.positions.new_zeros((len(self.positions), batch, 1))
        return TokenSequence(
            torch.cat([token[:, None], self.embeddings], dim=1),
            torch.cat([ones, self.mask], dim=1),
            torch.cat([first, self.positions + 1], dim=2),
            ((Segment.PREFIX, 1), *self.segments),
        )

    def extended(self, embeddings: Tensor, mask: Tensor, segment: Segment) -> TokenSequence:
        """Append tokens; their positions go on from the largest one."""
        length = embeddings.shape[1]
        last = self.positions.amax(dim=(0, 2))
        steps = torch.arange(1, length + 1, device=last.device)
        positions = (last[:, None] + steps).expand(len(self.positions), -1, -1)
        return TokenSequence(
            torch.cat([self.embeddings, embeddings.to(self.embeddings.dtype)], dim=1),
            torch.cat([self.mask, mask], dim=1),
            torch.cat([self.positions, positions], dim=2),
            (*self.segments, (segment, length)),
        )


def causal_visibility(mask: Tensor) -> Tensor:
    """Tokens see those before them and themselves, unless masked: batch x 1 x query x key."""
    length = mask.shape[1]
    order = torch.arange(length, device=mask.device)
    return _with_padding(order[:, None] >= order, mask)


def block_visibility(mask: Tensor, segments: Sequence[tuple[Segment, int]]) -> Tensor:
    """The prefix sees all of itself; later segments see the earlier ones and are causal inside."""
    kinds = torch.cat(
        [torch.full((length,), int(kind), device=mask.device) for kind, length in segments]
    )
    order = torch.arange(len(kinds), device=mask.device)
    earlier = kinds[:, None] > kinds
    inside = kinds[:, None] == kinds
    causal = (order[:, None] >= order) | (kinds == Segment.PREFIX)
    return _with_padding(earlier | (inside & causal), mask)


def _with_padding(visible: Tensor, mask: Tensor) -> Tensor:
    visible = visible[None] & mask[:, None, :]
    # A query that sees nothing would become NaN on some backends. Nobody reads it, but it must
    # stay finite: it sees itself.
    blind = ~visible.any(dim=-1, keepdim=True)
    itself = torch.eye(mask.shape[1], dtype=torch.bool, device=mask.device)
    return (visible | (blind & itself))[:, None]
