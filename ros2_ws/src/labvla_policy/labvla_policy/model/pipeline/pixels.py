"""From a camera's frame to what a backbone looks at, on whatever device the frame is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor
from torch.nn import functional

from labvla_policy.model.errors import ConfigError


class PixelPlan(Protocol):
    """How a backbone wants to see a picture."""

    def __call__(self, frame: Tensor) -> Tensor:
        """Turn one 3 x height x width frame of bytes into the backbone's picture."""
        ...


def resize_with_pad(image: Tensor, height: int, width: int) -> Tensor:
    """Fit a 3 x h x w image of floats into a black frame, centred; identity where it fits.

    Bilinear without antialiasing, sizes rounded half to even: what the public weights were
    trained on. An odd rest goes to the bottom and to the right.
    """
    rows, columns = image.shape[-2:]
    if (rows, columns) == (height, width):
        return image
    scale = min(height / rows, width / columns)
    size = (max(1, round(rows * scale)), max(1, round(columns * scale)))
    fitted = functional.interpolate(image[None], size, mode="bilinear", align_corners=False)[0]
    top, left = (height - size[0]) // 2, (width - size[1]) // 2
    bottom, right = height - size[0] - top, width - size[1] - left
    return functional.pad(fitted, (left, right, top, bottom)).clamp(0.0, 1.0)


def enlarged_size(height: int, width: int, multiple: int, least: int, most: int) -> tuple[int, int]:
    """Return the nearest size in whole multiples that has least..most pixels."""
    rows = max(multiple, round(height / multiple) * multiple)
    columns = max(multiple, round(width / multiple) * multiple)
    if rows * columns > most:
        shrink = math.sqrt(height * width / most)
        rows = max(multiple, math.floor(height / shrink / multiple) * multiple)
        columns = max(multiple, math.floor(width / shrink / multiple) * multiple)
    elif rows * columns < least:
        grow = math.sqrt(least / (height * width))
        rows = math.ceil(height * grow / multiple) * multiple
        columns = math.ceil(width * grow / multiple) * multiple
    return rows, columns


@dataclass(frozen=True)
class PatchPlan:
    """The public model's pictures: fitted, enlarged, normalised, cut into patches.

    The processor of the public model enlarges everything below 65,536 pixels. 224 x 224 pixels
    are fewer: they become 256 x 256, by a bicubic filter whose overshoot is kept.
    """

    resolution: tuple[int, int] = (224, 224)
    least_pixels: int = 65_536
    most_pixels: int = 16_777_216
    mean: float = 0.5
    deviation: float = 0.5
    patch: int = 16
    merge: int = 2
    copies: int = 2  # a still is a film of two equal frames

    @property
    def size(self) -> tuple[int, int]:
        """Height and width after enlarging."""
        multiple = self.patch * self.merge
        return enlarged_size(*self.resolution, multiple, self.least_pixels, self.most_pixels)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches."""
        return self.size[0] // self.patch, self.size[1] // self.patch

    @property
    def tokens(self) -> int:
        """How many tokens of the language model stand for a picture."""
        rows, columns = self.grid
        return rows * columns // self.merge**2

    def __call__(self, frame: Tensor) -> Tensor:
        """Return patches x (colour x copies x patch x patch)."""
        fitted = resize_with_pad(frame.float() / 255, *self.resolution)
        if self.size != self.resolution:
            fitted = functional.interpolate(
                fitted[None], self.size, mode="bicubic", align_corners=False, antialias=True
            )[0]
        return self._patches((fitted - self.mean) / self.deviation)

    def _patches(self, image: Tensor) -> Tensor:
        rows, columns = self.grid
        merge, patch = self.merge, self.patch
        cut = image.reshape(3, rows // merge, merge, patch, columns // merge, merge, patch)
        patches = cut.permute(1, 4, 2, 5, 0, 3, 6).reshape(rows * columns, 3, 1, patch, patch)
        return patches.expand(-1, -1, self.copies, -1, -1).flatten(1)


def patch_plan(resolution: tuple[int, int], processor: Mapping[str, Any]) -> PatchPlan:
    """Read preprocessor_config.json; what it does not say is as in the public model."""
    usual = PatchPlan()

    def for_all_colours(key: str, default: float) -> float:
        values = set(processor.get(key, [default]))
        if len(values) != 1:
            raise ConfigError(
                f"preprocessor_config.json: {key}: expected one value for all colours, as the "
                f"public model has it, got {processor[key]}"
            )
        return float(values.pop())

    size = processor.get("size") or {}
    return PatchPlan(
        resolution=resolution,
        least_pixels=int(size.get("shortest_edge", usual.least_pixels)),
        most_pixels=int(size.get("longest_edge", usual.most_pixels)),
        mean=for_all_colours("image_mean", usual.mean),
        deviation=for_all_colours("image_std", usual.deviation),
        patch=int(processor.get("patch_size", usual.patch)),
        merge=int(processor.get("merge_size", usual.merge)),
        copies=int(processor.get("temporal_patch_size", usual.copies)),
    )


@dataclass(frozen=True)
class PlainPlan:
    """A small backbone's pictures: fitted, and centred around zero."""

    resolution: tuple[int, int] = (128, 128)

    def __call__(self, frame: Tensor) -> Tensor:
        """Return 3 x height x width in -1..1."""
        return resize_with_pad(frame.float() / 255, *self.resolution) * 2 - 1
