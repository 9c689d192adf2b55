"""What the policy needs of a backbone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from labvla_policy.model.attention import Attention
from labvla_policy.model.backbone.sequence import TokenSequence
from labvla_policy.model.inputs import PolicyInputs
from labvla_policy.model.pipeline.pixels import PixelPlan


class Backbone(nn.Module, ABC):
    """Encodes pictures and instruction. `state_dict` names are those of the weight files."""

    hidden_width: int
    layer_count: int
    camera_slots: int
    pixel_plan: PixelPlan
    attention: Attention

    @abstractmethod
    def embed_prefix(self, inputs: PolicyInputs) -> TokenSequence:
        """Embed pictures and instruction; the length does not depend on what they show."""

    @abstractmethod
    def forward(self, sequence: TokenSequence, layers: int = 1) -> tuple[Tensor, ...]:
        """Return the last hidden states, shallow to deep; the deepest after the final norm."""

    @property
    @abstractmethod
    def token_embedding(self) -> nn.Embedding:
        """The table of the text's tokens."""

    @property
    @abstractmethod
    def language_layers(self) -> nn.ModuleList:
        """The layers that pictures and words go through together."""

    @property
    @abstractmethod
    def vision_blocks(self) -> nn.ModuleList:
        """What pictures go through by themselves, in blocks."""

    @abstractmethod
    def vision_parameters(self) -> Iterable[nn.Parameter]:
        """What training freezes together with the eyes."""

    def untie_language_head(self) -> None:
        """Give the output of words a matrix of its own, where there is such an output."""

    def retie_language_head(self) -> None:
        """Share the matrix again after the input's was replaced, unless there are two."""

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        dtype: torch.dtype = self.token_embedding.weight.dtype
        return dtype
