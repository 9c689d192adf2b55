"""Rotary position tables, in fp32 or rounded as the public weights saw them.

Training and the original server cast tables to bfloat16 together with the weights: the text's
frequencies, and the vision's frequencies, angles, cosines and sines. Weights that were trained so
are answered best by tables that are rounded so, whatever the weights are computed in.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

VISION_BASE = 10_000.0


def frequencies(width: int, base: float) -> Tensor:
    """Return width / 2 falling frequencies in fp32."""
    exponents = torch.arange(0, width, 2, dtype=torch.float32, device="cpu") / width
    return 1.0 / base**exponents


class TextRope(nn.Module):
    """Cosines and sines where neighbouring frequencies belong to different axes."""

    def __init__(
        self, head_width: int, base: float, sections: Sequence[int], table_dtype: torch.dtype
    ) -> None:
        super().__init__()
        steps = frequencies(head_width, base).to(table_dtype).float()
        self.register_buffer("steps", steps, persistent=False)
        self.register_buffer("axes", _axes(len(steps), sections), persistent=False)

    def forward(self, positions: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Return batch x length x head width, from positions of axes x batch x length."""
        chosen = positions.float()[self.axes].permute(1, 2, 0)
        angles = chosen * self.steps.float()
        angles = torch.cat([angles, angles], dim=-1)
        return angles.cos().to(dtype), angles.sin().to(dtype)


def _axes(count: int, sections: Sequence[int]) -> Tensor:
    """Frequency i belongs to axis i mod 3 as long as that axis has frequencies left, then to 0."""
    axes = torch.zeros(count, dtype=torch.long, device="cpu")
    for axis in (1, 2):
        axes[axis : 3 * sections[axis] : 3] = axis
    return axes


class VisionRope(nn.Module):
    """The table of one picture: rows in the first half of the frequencies, columns in the second.

    Patches are in the order in which they are merged later: block after block.
    """

    def __init__(
        self, head_width: int, rows: int, columns: int, merge: int, table_dtype: torch.dtype
    ) -> None:
        super().__init__()
        angles = vision_angles(head_width, rows, columns, merge, table_dtype)
        angles = torch.cat([angles, angles], dim=-1)
        # Kept in fp32, also when rounded: what casts the module may round but not recompute them.
        self.register_buffer("cosines", angles.cos().float(), persistent=False)
        self.register_buffer("sines", angles.sin().float(), persistent=False)

    def forward(self) -> tuple[Tensor, Tensor]:
        """Return patches x head width."""
        return self.cosines, self.sines


def vision_angles(
    head_width: int, rows: int, columns: int, merge: int, table_dtype: torch.dtype
) -> Tensor:
    """Return patches x head width / 2, computed in the tables' own precision."""
    places = torch.stack(merged_order(rows, columns, merge), dim=-1).to(table_dtype)
    steps = frequencies(head_width // 2, VISION_BASE).to(table_dtype)
    return (places[..., None] * steps).flatten(1)


def merged_order(rows: int, columns: int, merge: int) -> tuple[Tensor, Tensor]:
    """Return row and column of every patch, blocks of merge x merge patches after each other."""
    row = torch.arange(rows, device="cpu")[:, None].expand(rows, columns)
    column = torch.arange(columns, device="cpu").expand(rows, columns)

    def in_blocks(grid: Tensor) -> Tensor:
        blocks = grid.reshape(rows // merge, merge, columns // merge, merge)
        return blocks.transpose(1, 2).flatten()

    return in_blocks(row), in_blocks(column)
