"""Three-axis position ids of the prefix: time, height, width."""

from __future__ import annotations

import torch
from torch import Tensor

MASKED = 1  # what the public model's library writes at positions that nobody sees


def prefix_positions(image_mask: Tensor, text_mask: Tensor, rows: int, columns: int) -> Tensor:
    """Return 3 x batch x length for slots of [start | rows x columns patches | end], then text.

    A picture takes as many positions as its longer side has patches, plus start and end. What is
    masked does not advance the count: without the third camera the text begins earlier.
    """
    device = image_mask.device
    extent = max(rows, columns) + 2
    row = torch.arange(rows, device=device).repeat_interleave(columns)
    column = torch.arange(columns, device=device).repeat(rows)
    start, end = row.new_zeros(1), row.new_full((1,), extent - 1)
    axes = (torch.zeros_like(row), row, column)
    inside = torch.stack([torch.cat([start, axis + 1, end]) for axis in axes])
    seen = image_mask.long()
    starts = (seen.cumsum(dim=1) - seen) * extent
    images = inside[:, None, None] + starts[None, :, :, None]
    images = torch.where(image_mask[None, :, :, None], images, MASKED).flatten(2)
    words = text_mask.long().cumsum(dim=1) - 1 + seen.sum(dim=1, keepdim=True) * extent
    words = torch.where(text_mask, words, MASKED)
    return torch.cat([images, words.expand(3, -1, -1)], dim=2)
