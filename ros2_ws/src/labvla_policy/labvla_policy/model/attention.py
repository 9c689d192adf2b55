"""How attention is computed, and which way this machine offers."""

from __future__ import annotations

import enum
import importlib.util

import torch
from torch import Tensor
from torch.nn import functional

from labvla_policy.model.errors import ConfigError


class Attention(enum.Enum):
    """The ways; all of them compute the same for what the policy reads."""

    DENSE = "sdpa"
    """Scaled dot product with a mask of a fixed shape: any device, any mask, CUDA graphs."""

    DENSE_AS_FLASH = "sdpa_as_flash"
    """As DENSE, with zeros where a query itself is masked, as flash attention leaves them. Only
    the loss of a sample's first action token can tell: it is predicted from a padded position."""

    FLASH = "flash_attention_2"
    """The flash-attn package: CUDA, causal masks. The public weights were trained with it."""


def choose_attention(wanted: str, device: torch.device) -> tuple[Attention, str | None]:
    """Return the way to take, and a note when it is not the wanted one."""
    try:
        attention = Attention(wanted)
    except ValueError:
        known = ", ".join(way.value for way in Attention)
        raise ConfigError(f"attention: expected one of {known}, got {wanted!r}") from None
    if attention is not Attention.FLASH:
        return attention, None
    if device.type != "cuda":
        lack = f"runs on CUDA alone, and this is {device.type}"
    elif importlib.util.find_spec("flash_attn") is None:
        lack = "needs the package flash-attn, which is not installed"
    else:
        return attention, None
    return Attention.DENSE_AS_FLASH, f"flash_attention_2 {lack}: sdpa computes the same instead"


def attend(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float | None = None
) -> Tensor:
    """Scaled dot-product attention on batch x heads x tokens x width; True in the mask: seen.

    Fewer key heads than query heads are repeated: with a mask, the grouped form falls back to the
    slowest kernel on CUDA.
    """
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = (tensor.repeat_interleave(groups, dim=1) for tensor in (key, value))
    if query.device.type == "cpu" and torch.is_autocast_enabled("cpu") and query.requires_grad:
        return _written_out(query, key, value, mask, scale)
    return functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scale)


def _written_out(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float | None
) -> Tensor:
    """Compute the same in three steps: training in bfloat16 on a CPU spends half as long on it."""
    scores = query @ key.transpose(-1, -2) * (scale or query.shape[-1] ** -0.5)
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    return scores.softmax(dim=-1) @ value
