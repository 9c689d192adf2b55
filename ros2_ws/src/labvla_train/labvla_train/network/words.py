"""More words for a policy that has learnt some."""

from __future__ import annotations

import torch
from torch import nn

from labvla_policy.model.policy import Policy


def add_words(policy: Policy, count: int, like: int) -> None:
    """Add rows to the table of the words; each begins as the word with the number `like`.

    With the unknown word's row, a policy reads a new word as it always has until it has learnt it.
    """
    table = policy.vlm.token_embedding
    rows = table.weight.detach()
    table.weight = nn.Parameter(torch.cat([rows, rows[like].expand(count, -1)]))
    table.num_embeddings += count
