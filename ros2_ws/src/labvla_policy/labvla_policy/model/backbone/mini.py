"""A small backbone for CPUs: convolutional eyes, a few transformer layers, its own vocabulary.

It stands where the public model's stands, so everything around it (expert, knowledge isolation,
checkpoints, engines) is the same. Its files name it: `"model_type": "labvla_mini"`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from labvla_policy.model.attention import Attention, attend
from labvla_policy.model.backbone.base import Backbone
from labvla_policy.model.backbone.rope import TextRope
from labvla_policy.model.backbone.sequence import Segment, TokenSequence, block_visibility
from labvla_policy.model.config import read_fields
from labvla_policy.model.errors import ConfigError
from labvla_policy.model.inputs import PolicyInputs
from labvla_policy.model.pipeline.pixels import PlainPlan

MODEL_TYPE = "labvla_mini"
_STRIDE = 16  # of the eyes: 128 pixels become 8 tokens
_ROPE_BASE = 10_000.0
_NORM_GROUPS = 8


@dataclass(frozen=True, kw_only=True)
class MiniConfig:
    """Sizes; the defaults make about 5 million parameters with an expert of the same width."""

    vocab_size: int
    camera_slots: int = 3
    hidden_size: int = 192
    num_hidden_layers: int = 3
    num_attention_heads: int = 6
    intermediate_size: int = 512
    eye_channels: tuple[int, ...] = (48, 96, 160)

    def __post_init__(self) -> None:
        problems = list(self._problems())
        if problems:
            raise ConfigError("vlm_config.json: " + "; ".join(problems))

    def _problems(self) -> Iterator[str]:
        for name, value in asdict(self).items():
            if name != "eye_channels" and value < 1:
                yield f"{name}: expected at least 1, got {value}"
                return
        if self.hidden_size % (2 * self.num_attention_heads):
            yield (
                f"hidden_size: expected a multiple of 2 x num_attention_heads = "
                f"{2 * self.num_attention_heads}, got {self.hidden_size}"
            )
        if len(self.eye_channels) != 3 or any(c < 1 or c % _NORM_GROUPS for c in self.eye_channels):
            yield (
                f"eye_channels: expected three multiples of {_NORM_GROUPS}, "
                f"got {list(self.eye_channels)}"
            )

    def as_json(self) -> dict[str, Any]:
        """Return the content of vlm_config.json."""
        values = asdict(self)
        return {"model_type": MODEL_TYPE} | values | {"eye_channels": list(self.eye_channels)}


def mini_config(values: Mapping[str, Any]) -> MiniConfig:
    """Read vlm_config.json."""
    read = read_fields(MiniConfig, values, "vlm_config.json")
    if "vocab_size" not in read:
        raise ConfigError("vlm_config.json: vocab_size is missing")
    return MiniConfig(**read)


class Residual(nn.Module):
    """Two convolutions beside a short cut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.norms = nn.ModuleList(nn.GroupNorm(_NORM_GROUPS, channels) for _ in range(2))

    def forward(self, hidden: Tensor) -> Tensor:
        """Add what the convolutions find."""
        found = self.first(functional.silu(self.norms[0](hidden)))
        return hidden + self.second(functional.silu(self.norms[1](found)))


class Eye(nn.Module):
    """One camera's encoder: a picture becomes a grid of tokens."""

    def __init__(self, channels: tuple[int, ...], width: int, grid: tuple[int, int]) -> None:
        super().__init__()
        first, second, third = channels
        self.stages = nn.Sequential(
            nn.Conv2d(3, first, 6, stride=4, padding=1),
            Residual(first),
            nn.Conv2d(first, second, 3, stride=2, padding=1),
            Residual(second),
            nn.Conv2d(second, third, 3, stride=2, padding=1),
            Residual(third),
            nn.Conv2d(third, width, 1),
        )
        # Tells places and cameras apart.
        self.places = nn.Parameter(torch.randn(grid[0] * grid[1], width) * 0.02)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return batch x tokens x width."""
        return self.stages(pictures).flatten(2).transpose(1, 2) + self.places


class MiniLayer(nn.Module):
    """Attention and a gated feed-forward layer, each behind a norm."""

    def __init__(self, config: MiniConfig) -> None:
        super().__init__()
        width, inner = config.hidden_size, config.intermediate_size
        self.heads = config.num_attention_heads
        self.attention_norm = nn.RMSNorm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.inner_norm = nn.RMSNorm(width)
        self.gate_and_value = nn.Linear(width, 2 * inner, bias=False)
        self.inner_out = nn.Linear(inner, width, bias=False)

    def forward(self, hidden: Tensor, rotation: tuple[Tensor, Tensor], visible: Tensor) -> Tensor:
        """Apply the layer."""
        split = self.qkv(self.attention_norm(hidden)).unflatten(-1, (3, self.heads, -1))
        query, key, value = (tensor.transpose(1, 2) for tensor in split.unbind(2))
        found = attend(_turned(query, *rotation), _turned(key, *rotation), value, visible)
        hidden = hidden + self.out(found.transpose(1, 2).flatten(2))
        gate, inner = self.gate_and_value(self.inner_norm(hidden)).chunk(2, dim=-1)
        return hidden + self.inner_out(functional.silu(gate) * inner)


def _turned(heads: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    first, second = heads.chunk(2, dim=-1)
    return heads * cosines[:, None] + torch.cat([-second, first], dim=-1) * sines[:, None]


class MiniBackbone(Backbone):
    """Prefix: the pictures' tokens, slot after slot, then the words; all see all."""

    def __init__(
        self,
        config: MiniConfig,
        resolution: tuple[int, ...],
        *,
        table_dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        height, width = resolution
        if height % _STRIDE or width % _STRIDE:
            raise ConfigError(
                f"image_resolution: expected multiples of {_STRIDE}, got {height} x {width}"
            )
        self.hidden_width = config.hidden_size
        self.layer_count = config.num_hidden_layers
        self.camera_slots = config.camera_slots
        self.attention = Attention.DENSE
        self.pixel_plan = PlainPlan((height, width))
        grid = (height // _STRIDE, width // _STRIDE)
        self.eyes = nn.ModuleList(
            Eye(config.eye_channels, config.hidden_size, grid) for _ in range(config.camera_slots)
        )
        self.words = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(MiniLayer(config) for _ in range(config.num_hidden_layers))
        self.norm = nn.RMSNorm(config.hidden_size)
        head_width = config.hidden_size // config.num_attention_heads
        self.rotary = TextRope(head_width, _ROPE_BASE, (head_width // 2, 0, 0), table_dtype)

    @property
    def token_embedding(self) -> nn.Embedding:
        """The table of the words."""
        return self.words

    @property
    def language_layers(self) -> nn.ModuleList:
        """The transformer's layers."""
        return self.layers

    @property
    def vision_blocks(self) -> nn.ModuleList:
        """One eye for each camera."""
        return self.eyes

    def vision_parameters(self) -> Iterable[nn.Parameter]:
        """All eyes."""
        parameters: Iterable[nn.Parameter] = self.eyes.parameters()
        return parameters

    def embed_prefix(self, inputs: PolicyInputs) -> TokenSequence:
        """Embed pictures and instruction."""
        pictures = inputs.pixels.to(self.dtype)
        seen = [eye(pictures[:, slot]) for slot, eye in enumerate(self.eyes)]
        embeddings = torch.cat([*seen, self.words(inputs.text_ids)], dim=1)
        slot_mask = inputs.image_mask.repeat_interleave(seen[0].shape[1], dim=1)
        mask = torch.cat([slot_mask, inputs.text_mask], dim=1)
        places = torch.arange(mask.shape[1], device=mask.device)
        return TokenSequence(
            embeddings,
            mask,
            places.expand(1, len(mask), -1),
            ((Segment.PREFIX, mask.shape[1]),),
        )

    def forward(self, sequence: TokenSequence, layers: int = 1) -> tuple[Tensor, ...]:
        """Return the last hidden states, shallow to deep; the deepest after the norm."""
        hidden = sequence.embeddings
        rotation = self.rotary(sequence.positions, hidden.dtype)
        visible = block_visibility(sequence.mask, sequence.segments)
        kept = []
        first = len(self.layers) - layers + 1
        for index, layer in enumerate(self.layers):
            if index >= first:
                kept.append(hidden)
            hidden = layer(hidden, rotation, visible)
        return (*kept, self.norm(hidden))
