"""Knowledge isolation: discrete action tokens teach the backbone, flow matching the expert."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class DiscreteActionHead(nn.Module):
    """Own input and output tables for action tokens; they are not part of the text's vocabulary."""

    def __init__(self, vocabulary: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        # Stays in fp32 whatever the rest is: its logits go straight into a cross-entropy.
        self.classifier = nn.Linear(width, vocabulary, bias=False, dtype=torch.float32)

    def cross_entropies(self, hidden: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
        """Return batch x tokens, 0 where masked.

        `hidden` begins one place before the first token: the place that predicts it.
        """
        logits = functional.linear(hidden.float(), self.classifier.weight.float())
        losses = functional.cross_entropy(logits.transpose(1, 2), tokens, reduction="none")
        return losses * mask


def mean_over_tokens(losses: Tensor, mask: Tensor) -> Tensor:
    """Mean over what counts; zero, still with a gradient, if nothing does."""
    return losses.sum() / mask.sum().clamp(min=1)
