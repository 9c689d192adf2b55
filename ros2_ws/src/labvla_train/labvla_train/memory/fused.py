"""Attention on the device `meta`, with the memory that a real device's fused kernel would take.

Left to itself, `meta` takes attention apart into products and a softmax, and keeps every weight of
every pair of tokens, which no device does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Kernel = Literal["cuda", "cpu"]
_ATTENTION = "scaled_dot_product_attention"


@contextmanager
def fused_attention(kernel: Kernel) -> Iterator[None]:
    """Within it, attention on `meta` is that of a kind of device.

    The function itself is replaced: torch's own modes are off inside a backward pass, where layers
    may be computed again.
    """
    plain, fused = functional.scaled_dot_product_attention, _cuda if kernel == "cuda" else _cpu

    def attend(
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        *,
        scale: float | None = None,
    ) -> Tensor:
        if query.is_meta:
            return fused(query, key, value, attn_mask, scale)
        return plain(query, key, value, attn_mask=attn_mask, scale=scale)

    setattr(functional, _ATTENTION, attend)
    try:
        yield
    finally:
        setattr(functional, _ATTENTION, plain)


def _cuda(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float | None
) -> Tensor:
    bias = None if mask is None else _bias(mask, query).expand(*query.shape[:3], key.shape[2])
    needed = query.requires_grad or key.requires_grad or value.requires_grad
    found = torch.ops.aten._scaled_dot_product_efficient_attention(
        query, key, value, bias, needed, scale=scale
    )
    return found[0]


def _cpu(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float | None
) -> Tensor:
    bias = None if mask is None else _bias(mask, query)
    found = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        query, key, value, attn_mask=bias, scale=scale
    )
    return found[0]


def _bias(mask: Tensor, query: Tensor) -> Tensor:
    if mask.dtype is not torch.bool:
        return mask
    return torch.zeros_like(mask, dtype=query.dtype).masked_fill_(~mask, -torch.inf)
