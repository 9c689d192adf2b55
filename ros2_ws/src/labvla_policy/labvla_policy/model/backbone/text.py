"""The public model's language layers: transformers' blocks under our own masks and positions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.models.qwen3_vl.configuration_qwen3_vl import Qwen3VLTextConfig
from transformers.models.qwen3_vl.modeling_qwen3_vl import (
    Qwen3VLTextDecoderLayer,
    Qwen3VLTextRMSNorm,
)

from labvla_policy.model.attention import Attention, attend
from labvla_policy.model.backbone.rope import TextRope
from labvla_policy.model.backbone.sequence import (
    TokenSequence,
    block_visibility,
    causal_visibility,
)

_DENSE = "labvla_dense"


def _dense_attention(
    _module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor,
    scaling: float,
    keep: Tensor | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    found = attend(query, key, value, attention_mask, scaling).transpose(1, 2)
    if keep is not None:
        found = found * keep[:, :, None, None].to(found.dtype)
    return found.contiguous(), None


AttentionInterface.register(_DENSE, _dense_attention)


class TextModel(nn.Module):
    """Embeddings, layers and final norm; nothing is added to the layers from the vision side."""

    def __init__(
        self,
        config: Qwen3VLTextConfig,
        attention: Attention,
        block_mask: bool,
        table_dtype: torch.dtype,
    ) -> None:
        super().__init__()
        self.attention = attention
        self.block_mask = block_mask
        config._attn_implementation = attention.value if attention is Attention.FLASH else _DENSE
        self.embed_tokens = nn.Embedding(
            config.vocab_size, config.hidden_size, padding_idx=config.pad_token_id
        )
        self.layers = nn.ModuleList(
            Qwen3VLTextDecoderLayer(config, index) for index in range(config.num_hidden_layers)
        )
        self.norm = Qwen3VLTextRMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        rope = config.rope_parameters
        self.rotary = TextRope(
            config.head_dim, rope["rope_theta"], rope["mrope_section"], table_dtype
        )

    def forward(self, sequence: TokenSequence, layers: int) -> tuple[Tensor, ...]:
        """Return the last hidden states, shallow to deep; the deepest after the norm."""
        hidden = sequence.embeddings
        rotation = self.rotary(sequence.positions, hidden.dtype)
        masks = self._masks(sequence)
        kept = []
        first = len(self.layers) - layers + 1
        for index, layer in enumerate(self.layers):
            if index >= first:
                kept.append(hidden)
            hidden = layer(hidden, position_embeddings=rotation, **masks)
        return (*kept, self.norm(hidden))

    def _masks(self, sequence: TokenSequence) -> dict[str, Tensor]:
        if self.attention is Attention.FLASH:
            return {"attention_mask": sequence.mask}
        if self.block_mask:
            visible = block_visibility(sequence.mask, sequence.segments)
        else:
            visible = causal_visibility(sequence.mask)
        if self.attention is Attention.DENSE_AS_FLASH:
            return {"attention_mask": visible, "keep": sequence.mask}
        return {"attention_mask": visible}
