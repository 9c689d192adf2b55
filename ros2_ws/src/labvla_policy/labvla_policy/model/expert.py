"""The action expert: a diffusion transformer over [state | noisy chunk] that looks at the prefix.

Attributes have the names of the released weight files, so that a state dict is a file's content.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from labvla_policy.model.attention import attend
from labvla_policy.model.config import POSITIONS
from labvla_policy.model.inputs import KeyValue, Modulation

SINUSOID_WIDTH = 256
FEED_FORWARD_FACTOR = 4
BLOCK_EPS = 1e-5
OUTPUT_EPS = 1e-6
_LONGEST_WAVE = 10_000.0


def time_sinusoid(time: Tensor, width: int = SINUSOID_WIDTH) -> Tensor:
    """Cosines, then sines, of time in 0..1 as it is: it is not multiplied by 1000."""
    half = width // 2
    steps = torch.arange(half, dtype=torch.float32, device=time.device)
    frequencies = torch.exp(-math.log(_LONGEST_WAVE) * steps / (half - 1))
    angles = time.float()[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


def position_table(width: int) -> Tensor:
    """Interleaved sines and cosines of the position: 1 x positions x width, fp32."""
    places = torch.arange(POSITIONS, dtype=torch.float32, device="cpu")[:, None]
    steps = torch.arange(0, width, 2, dtype=torch.float32, device="cpu")
    angles = places * torch.exp(-math.log(_LONGEST_WAVE) * steps / width)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).reshape(1, POSITIONS, width)


class TimestepEmbedder(nn.Module):
    """Two layers on the sinusoid."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(SINUSOID_WIDTH, width)
        self.linear_2 = nn.Linear(width, width)

    def forward(self, sinusoid: Tensor) -> Tensor:
        """Embed."""
        return self.linear_2(functional.silu(self.linear_1(sinusoid)))


class TimestepEncoder(nn.Module):
    """The embedding of the time."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.timestep_embedder = TimestepEmbedder(width)

    def forward(self, time: Tensor) -> Tensor:
        """Return batch x width; the sinusoid is computed in fp32 whatever the weights are."""
        return self.timestep_embedder(time_sinusoid(time).to(self.dtype))

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        return self.timestep_embedder.linear_1.weight.dtype


class AdaptiveNorm(nn.Module):
    """Layer norm whose scale (first half) and shift (second half) depend on the time."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.linear = nn.Linear(width, 2 * width)

    def forward(self, hidden: Tensor, modulation: Tensor) -> Tensor:
        """Normalise; `modulation` is what `linear` makes of the activated time embedding."""
        scale, shift = modulation.chunk(2, dim=-1)
        normed = functional.layer_norm(hidden, (self.width,), eps=BLOCK_EPS)
        return normed * (1 + scale) + shift


class PositionTable(nn.Module):
    """Adds the fixed position table. It belongs to the attention branch, never to the residual."""

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.register_buffer("pe", table)

    def forward(self, hidden: Tensor) -> Tensor:
        """Add."""
        return hidden + self.pe[:, : hidden.shape[1]].to(hidden.dtype)


class ExpertAttention(nn.Module):
    """Multi-head attention; keys and values come from the prefix or from the tokens themselves."""

    def __init__(self, heads: int, head_width: int, source_width: int) -> None:
        super().__init__()
        width = heads * head_width
        self.heads = heads
        self.to_q = nn.Linear(width, width)
        self.to_k = nn.Linear(source_width, width)
        self.to_v = nn.Linear(source_width, width)
        self.to_out = nn.ModuleList([nn.Linear(width, width)])

    def keys_and_values(self, source: Tensor) -> KeyValue:
        """Project what is looked at."""
        return KeyValue(self._split(self.to_k(source)), self._split(self.to_v(source)))

    def forward(self, tokens: Tensor, looked_at: KeyValue, mask: Tensor | None) -> Tensor:
        """Attend; the mask is batch x 1 x 1 x prefix.

        Several chunks may look at one prefix: then their tokens stand side by side as queries.
        """
        beside = tokens.reshape(len(looked_at.key), -1, tokens.shape[-1])
        found = attend(self._split(self.to_q(beside)), *looked_at, mask)
        return self.to_out[0](found.transpose(1, 2).flatten(2)).view(tokens.shape)

    def _split(self, tensor: Tensor) -> Tensor:
        return tensor.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class Activation(nn.Module):
    """A layer and tanh-GELU."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.proj = nn.Linear(width, inner)

    def forward(self, hidden: Tensor) -> Tensor:
        """Project and activate."""
        return functional.gelu(self.proj(hidden), approximate="tanh")


class FeedForward(nn.Module):
    """Two layers; the files count what was a dropout between them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = FEED_FORWARD_FACTOR * width
        self.net = nn.ModuleList([Activation(width, inner), nn.Identity(), nn.Linear(inner, width)])

    def forward(self, hidden: Tensor) -> Tensor:
        """Apply in order."""
        for layer in self.net:
            hidden = layer(hidden)
        return hidden


class Block(nn.Module):
    """Attention with an adaptive norm, then a feed-forward layer with a plain one; no gates."""

    def __init__(
        self, heads: int, head_width: int, source_width: int | None, table: Tensor
    ) -> None:
        super().__init__()
        width = heads * head_width
        self.width = width
        self.looks_at_prefix = source_width is not None
        self.norm1 = AdaptiveNorm(width)
        self.pos_embed = PositionTable(table)
        self.attn1 = ExpertAttention(heads, head_width, source_width or width)
        self.ff = FeedForward(width)

    def forward(
        self, hidden: Tensor, modulation: Tensor, prefix: KeyValue | None, mask: Tensor | None
    ) -> Tensor:
        """Apply the block; `prefix` is given where the block looks at it."""
        tokens = self.pos_embed(self.norm1(hidden, modulation))
        if prefix is None:
            attended = self.attn1(tokens, self.attn1.keys_and_values(tokens), None)
        else:
            attended = self.attn1(tokens, prefix, mask)
        hidden = hidden + attended
        return hidden + self.ff(functional.layer_norm(hidden, (self.width,), eps=BLOCK_EPS))


class Expert(nn.Module):
    """Blocks that look at the prefix and at themselves in turn, or only at the prefix."""

    def __init__(
        self,
        *,
        layers: int,
        heads: int,
        head_width: int,
        source_width: int,
        interleave: bool,
        table_dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.width = heads * head_width
        table = position_table(self.width).to(table_dtype).float()
        self.timestep_encoder = TimestepEncoder(self.width)
        self.transformer_blocks = nn.ModuleList(
            Block(
                heads,
                head_width,
                None if interleave and index % 2 else source_width,
                table.clone(),
            )
            for index in range(layers)
        )
        self.proj_out_1 = nn.Linear(self.width, 2 * self.width)

    @property
    def cross_attentions(self) -> int:
        """How many blocks look at the prefix."""
        return sum(block.looks_at_prefix for block in self.transformer_blocks)

    def embed_time(self, time: Tensor) -> Tensor:
        """Return batch x width."""
        return self.timestep_encoder(time)

    def modulation(self, time: Tensor) -> Modulation:
        """Return what a time does to the norms: constant for a given time, so callers may keep it.

        `time` is one for each of a batch, or one for each of its tokens (batch x tokens).
        """
        embedded = self.embed_time(time.flatten()).unflatten(0, time.shape)
        activated = functional.silu(embedded if time.ndim == 2 else embedded[:, None])
        return Modulation(
            tuple(block.norm1.linear(activated) for block in self.transformer_blocks),
            self.proj_out_1(activated),
        )

    def keys_and_values(self, features: Sequence[Tensor]) -> tuple[KeyValue, ...]:
        """Project the prefix for every block that looks at it: constant over all steps of a chunk.

        `features` holds one tensor for all of them, or one for each.
        """
        blocks = [block for block in self.transformer_blocks if block.looks_at_prefix]
        if len(features) == 1:
            features = list(features) * len(blocks)
        return tuple(
            block.attn1.keys_and_values(feature)
            for block, feature in zip(blocks, features, strict=True)
        )

    def forward(
        self, suffix: Tensor, modulation: Modulation, prefix: Sequence[KeyValue], mask: Tensor
    ) -> Tensor:
        """Return batch x tokens x width from embedded tokens, their time and the prefix."""
        for block, norm, looked_at in self._with_prefix(modulation, prefix):
            suffix = block(suffix, norm, looked_at, mask[:, None, None])
        # The opposite order of the blocks' norm: shift first, then scale.
        shift, scale = modulation.output.chunk(2, dim=-1)
        normed = functional.layer_norm(suffix, (self.width,), eps=OUTPUT_EPS)
        return normed * (1 + scale) + shift

    def _with_prefix(
        self, modulation: Modulation, prefix: Sequence[KeyValue]
    ) -> Iterator[tuple[Block, Tensor, KeyValue | None]]:
        remaining = iter(prefix)
        for block, norm in zip(self.transformer_blocks, modulation.blocks, strict=True):
            yield block, norm, next(remaining) if block.looks_at_prefix else None
