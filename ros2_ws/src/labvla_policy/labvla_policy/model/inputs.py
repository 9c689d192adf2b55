"""What goes into the network, and what it keeps of an observation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor


@dataclass(frozen=True, eq=False)
class PolicyInputs:
    """A batch of observations, ready for the network. Absent cameras are encoded but masked."""

    pixels: Tensor  # batch x slots x what the backbone's pixel plan makes of a picture
    image_mask: Tensor  # batch x slots, bool
    text_ids: Tensor  # batch x text length
    text_mask: Tensor  # batch x text length, bool
    state: Tensor  # batch x max_state_dim: normalised, padded with zeros


class KeyValue(NamedTuple):
    """Keys and values of one cross-attention: batch x heads x prefix x width."""

    key: Tensor
    value: Tensor


class Modulation(NamedTuple):
    """What a time does to the expert's norms: batch x (1 or tokens) x 2 width each."""

    blocks: tuple[Tensor, ...]
    output: Tensor


@dataclass(frozen=True, eq=False)
class Prefix:
    """What the expert sees of an observation."""

    features: tuple[Tensor, ...]  # batch x prefix x width; one, or one for each cross-attention
    mask: Tensor  # batch x prefix, bool

    def repeat(self, samples: int) -> Prefix:
        """Repeat every observation for several noise samples of it."""
        return Prefix(
            tuple(feature.repeat_interleave(samples, dim=0) for feature in self.features),
            self.mask.repeat_interleave(samples, dim=0),
        )
