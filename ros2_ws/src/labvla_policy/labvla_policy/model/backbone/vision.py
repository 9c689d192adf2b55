"""The public model's eyes: transformers' blocks, run over a batch of equally large pictures."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers.models.qwen3_vl.configuration_qwen3_vl import Qwen3VLVisionConfig
from transformers.models.qwen3_vl.modeling_qwen3_vl import (
    Qwen3VLVisionAttention,
    Qwen3VLVisionBlock,
    Qwen3VLVisionPatchEmbed,
    Qwen3VLVisionPatchMerger,
    apply_rotary_pos_emb_vision,
)

from labvla_policy.model.attention import attend
from labvla_policy.model.backbone.rope import VisionRope, merged_order


class BatchedVisionAttention(Qwen3VLVisionAttention):
    """Attention inside each picture of a batch: no packing, so no sizes to read back."""

    def forward(
        self, hidden_states: Tensor, position_embeddings: tuple[Tensor, Tensor], **_: Any
    ) -> Tensor:
        """Attend on pictures x patches x width."""
        split = self.qkv(hidden_states).unflatten(-1, (3, self.num_heads, -1))
        query, key, value = split.unbind(2)
        query, key = apply_rotary_pos_emb_vision(query, key, *position_embeddings)
        query, key, value = (tensor.transpose(1, 2) for tensor in (query, key, value))
        found = attend(query, key, value, None)
        return self.proj(found.transpose(1, 2).flatten(2))


class PositionGrid(nn.Module):
    """Samples a square table of learned positions bilinearly for the grid of one picture."""

    def __init__(self, side: int, rows: int, columns: int, merge: int) -> None:
        super().__init__()
        taps, weights = _bilinear_taps(side, rows, columns, merge)
        self.register_buffer("taps", taps, persistent=False)
        self.register_buffer("weights", weights, persistent=False)

    def forward(self, table: Tensor) -> Tensor:
        """Return patches x width."""
        return (table[self.taps] * self.weights.to(table.dtype)[..., None]).sum(dim=1)


def _bilinear_taps(side: int, rows: int, columns: int, merge: int) -> tuple[Tensor, Tensor]:
    """Return four table entries and their weights for every patch, corners on corners."""
    axes = [
        _linear_taps(side, count, places)
        for count, places in zip((rows, columns), merged_order(rows, columns, merge), strict=True)
    ]
    (row_taps, row_weights), (column_taps, column_weights) = axes
    taps = row_taps[:, :, None] * side + column_taps[:, None]
    weights = row_weights[:, :, None] * column_weights[:, None]
    return taps.flatten(1), weights.flatten(1)


def _linear_taps(side: int, count: int, places: Tensor) -> tuple[Tensor, Tensor]:
    exact = torch.linspace(0, side - 1, count, device="cpu")[places]
    below = exact.floor().long()
    above = (below + 1).clamp(max=side - 1)
    share = exact - below
    return torch.stack([below, above], dim=-1), torch.stack([1 - share, share], dim=-1)


class VisionTower(nn.Module):
    """Patches to tokens. Deepstack mergers are in the files but feed nothing here."""

    def __init__(
        self, config: Qwen3VLVisionConfig, grid: tuple[int, int], table_dtype: torch.dtype
    ) -> None:
        super().__init__()
        side = round(config.num_position_embeddings**0.5)
        merge = config.spatial_merge_size
        self.patch_embed = Qwen3VLVisionPatchEmbed(config)
        self.pos_embed = nn.Embedding(config.num_position_embeddings, config.hidden_size)
        self.blocks = nn.ModuleList(Qwen3VLVisionBlock(config) for _ in range(config.depth))
        for block in self.blocks:
            block.attn = BatchedVisionAttention(config)
        self.merger = Qwen3VLVisionPatchMerger(config)
        self.deepstack_merger_list = nn.ModuleList(
            Qwen3VLVisionPatchMerger(config, use_postshuffle_norm=True)
            for _ in config.deepstack_visual_indexes
        )
        self.deepstack_merger_list.requires_grad_(False)
        self.position_grid = PositionGrid(side, *grid, merge)
        head_width = config.hidden_size // config.num_heads
        self.rotary = VisionRope(head_width, *grid, merge, table_dtype)

    def forward(self, pixels: Tensor) -> Tensor:
        """Return pictures x tokens x width of the language model."""
        pictures, patches, _ = pixels.shape
        hidden = self.patch_embed(pixels.flatten(0, 1)).unflatten(0, (pictures, patches))
        hidden = hidden + self.position_grid(self.pos_embed.weight)
        rotation = self.rotary()
        for block in self.blocks:
            hidden = block(hidden, cu_seqlens=None, position_embeddings=rotation)
        return self.merger(hidden).unflatten(0, (pictures, -1))
