"""A batch's actions as tokens for the backbone to predict."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from labvla_policy.model.errors import ConfigError
from labvla_train.fast.tokenizer import FastTokenizer


@dataclass(frozen=True, eq=False)
class TokenBatch:
    """Tokens, padded on the right with zeros, and what they leave out."""

    tokens: Tensor  # batch x tokens
    mask: Tensor  # batch x tokens, bool
    clipped: float  # share of the numbers that were beyond -1 and 1
    cut: int  # samples whose last tokens did not fit


@dataclass(frozen=True, eq=False)
class ActionTokens:
    """Tokenises as the public training does: real columns alone, clipped, padding as zeros."""

    tokenizer: FastTokenizer
    columns: int  # that are not padding
    limit: int  # most tokens of a sample
    vocabulary: int  # of the network's head

    def __post_init__(self) -> None:
        if self.tokenizer.entries > self.vocabulary:
            raise ConfigError(
                f"discrete_action_vocab_size: expected at least the {self.tokenizer.entries} "
                f"entries of the action tokenizer, got {self.vocabulary}"
            )

    def __call__(self, actions: Tensor, is_pad: Tensor) -> TokenBatch:
        """Tokenise actions (batch x rows x columns); the result is on the CPU."""
        rows, real = clipped_rows(actions.cpu().numpy(), is_pad.cpu().numpy(), self.columns)
        some = np.flatnonzero(real.any(axis=1))
        ids: list[list[int]] = [[] for _ in rows]
        if len(some):
            for index, found in zip(some, self.tokenizer.encode_many(rows[some]), strict=True):
                ids[index] = found
        # One place at least: a batch without tokens still goes through the same network.
        length = max(1, min(self.limit, max(map(len, ids))))
        tokens = torch.zeros(len(ids), length, dtype=torch.long)
        mask = torch.zeros(len(ids), length, dtype=torch.bool)
        for place, sample in enumerate(ids):
            kept = sample[:length]
            tokens[place, : len(kept)] = torch.tensor(kept, dtype=torch.long)
            mask[place, : len(kept)] = True
        return TokenBatch(
            tokens,
            mask,
            clipped_share(actions.cpu().numpy()[..., : self.columns], real),
            sum(len(sample) > length for sample in ids),
        )


def clipped_rows(
    actions: NDArray[np.floating], is_pad: NDArray[np.bool_], columns: int
) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
    """Return what is tokenised of padded, normalised chunks, and which rows are real."""
    real = ~is_pad
    return np.clip(actions[..., :columns], -1, 1) * real[..., None], real


def clipped_share(actions: NDArray[np.floating], real: NDArray[np.bool_]) -> float:
    """Return the share of the real numbers that clipping changes."""
    numbers = np.abs(actions[real])
    return float((numbers > 1).mean()) if numbers.size else 0.0
