"""The public model's backbone: Qwen3-VL without deepstack, under the policy's own positions."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from transformers.models.qwen3_vl.configuration_qwen3_vl import Qwen3VLConfig

from labvla_policy.model.attention import Attention
from labvla_policy.model.backbone.base import Backbone
from labvla_policy.model.backbone.positions import prefix_positions
from labvla_policy.model.backbone.sequence import Segment, TokenSequence
from labvla_policy.model.backbone.text import TextModel
from labvla_policy.model.backbone.vision import VisionTower
from labvla_policy.model.inputs import PolicyInputs
from labvla_policy.model.pipeline.pixels import PatchPlan

CAMERA_SLOTS = 3


class Towers(nn.Module):
    """Eyes and language."""

    def __init__(self, visual: VisionTower, language_model: TextModel) -> None:
        super().__init__()
        self.visual = visual
        self.language_model = language_model


class QwenBackbone(Backbone):
    """Prefix: for each slot [start | 64 patches | end], then the words."""

    camera_slots = CAMERA_SLOTS

    def __init__(
        self,
        config: Qwen3VLConfig,
        pixel_plan: PatchPlan,
        *,
        attention: Attention = Attention.DENSE,
        block_mask: bool = False,
        table_dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        text = config.text_config
        self.hidden_width = text.hidden_size
        self.layer_count = text.num_hidden_layers
        self.attention = attention
        self.pixel_plan = pixel_plan
        merge = pixel_plan.merge
        self.merged_grid = (pixel_plan.grid[0] // merge, pixel_plan.grid[1] // merge)
        start, end = config.vision_start_token_id, config.vision_end_token_id
        slot = [start, *[config.image_token_id] * pixel_plan.tokens, end]
        ids = torch.tensor(slot * CAMERA_SLOTS, device="cpu")
        self.register_buffer("image_ids", ids, persistent=False)
        self.model = Towers(
            VisionTower(config.vision_config, pixel_plan.grid, table_dtype),
            TextModel(text, attention, block_mask, table_dtype),
        )
        self.lm_head = nn.Linear(text.hidden_size, text.vocab_size, bias=False)
        self._tied = True
        self.retie_language_head()

    def untie_language_head(self) -> None:
        """Give the output of words a matrix of its own."""
        self._tied = False
        self.lm_head.weight = nn.Parameter(torch.empty_like(self.token_embedding.weight))

    def retie_language_head(self) -> None:
        """Share the matrix, as the public model does, unless there are two."""
        if self._tied:
            self.lm_head.weight = self.token_embedding.weight

    @property
    def token_embedding(self) -> nn.Embedding:
        """The table of the text's tokens."""
        return self.model.language_model.embed_tokens

    @property
    def language_layers(self) -> nn.ModuleList:
        """The language model's layers."""
        return self.model.language_model.layers

    @property
    def vision_blocks(self) -> nn.ModuleList:
        """The vision tower's blocks."""
        return self.model.visual.blocks

    def vision_parameters(self) -> Iterable[nn.Parameter]:
        """The vision tower with its merger."""
        parameters: Iterable[nn.Parameter] = self.model.visual.parameters()
        return parameters

    def token_ids(self, text_ids: Tensor) -> Tensor:
        """Return the ids of the whole prefix; a picture's are placeholders."""
        return torch.cat([self.image_ids.expand(len(text_ids), -1), text_ids], dim=1)

    def embed_prefix(self, inputs: PolicyInputs) -> TokenSequence:
        """Embed pictures and instruction."""
        batch = len(inputs.text_ids)
        pictures = self.model.visual(inputs.pixels.flatten(0, 1).to(self.dtype))
        pictures = pictures.unflatten(0, (batch, self.camera_slots))
        tokens = self.token_embedding(self.image_ids).unflatten(0, (self.camera_slots, -1))
        edges = tokens[:, [0, -1]].expand(batch, -1, -1, -1)
        slots = torch.cat([edges[:, :, :1], pictures, edges[:, :, 1:]], dim=2)
        words = self.token_embedding(inputs.text_ids)
        slot_mask = inputs.image_mask.repeat_interleave(slots.shape[2], dim=1)
        mask = torch.cat([slot_mask, inputs.text_mask], dim=1)
        return TokenSequence(
            torch.cat([slots.flatten(1, 2), words], dim=1),
            mask,
            prefix_positions(inputs.image_mask, inputs.text_mask, *self.merged_grid),
            ((Segment.PREFIX, mask.shape[1]),),
        )

    def forward(self, sequence: TokenSequence, layers: int = 1) -> tuple[Tensor, ...]:
        """Return the last hidden states of the language layers."""
        hidden: tuple[Tensor, ...] = self.model.language_model(sequence, layers)
        return hidden
