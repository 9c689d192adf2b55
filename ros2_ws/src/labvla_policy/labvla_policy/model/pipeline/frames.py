"""Checks camera frames on their way in: the network itself takes anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from labvla_policy.model.errors import InputError
from labvla_policy.model.pipeline.pixels import PixelPlan

Image: TypeAlias = NDArray[np.uint8] | NDArray[np.floating] | Tensor
COLOURS = 3
MOST_PIXELS = 50_000_000
# Interpolated pictures overshoot a little; one in 0..255 would become white without a word.
_FLOAT_SLACK = 0.5


def as_frame(image: Image, name: str = "image") -> Tensor:
    """Return 3 x height x width bytes on the image's own device.

    Colours come first or last. Floats in 0..1 are clipped, multiplied by 255 and cut off, not
    rounded: that is how the public server makes bytes of them.
    """
    frame = image if isinstance(image, Tensor) else _from_array(image, name)
    if frame.ndim != 3 or COLOURS not in (frame.shape[0], frame.shape[2]):
        raise InputError(
            f"{name}: expected height x width x {COLOURS} (red, green, blue) or {COLOURS} x height "
            f"x width, got {' x '.join(map(str, frame.shape)) or 'a single number'}"
        )
    if frame.shape[2] == COLOURS:
        frame = frame.permute(2, 0, 1)
    height, width = frame.shape[1:]
    if not 1 <= height * width <= MOST_PIXELS:
        raise InputError(
            f"{name}: expected 1 to {MOST_PIXELS:,} pixels, got {height} x {width}; "
            "is this a camera's frame?"
        )
    if frame.dtype == torch.uint8:
        return frame
    if not frame.is_floating_point():
        raise InputError(f"{name}: expected bytes, or floats in 0..1, got {frame.dtype}")
    return _bytes(frame, name)


def _from_array(image: Image, name: str) -> Tensor:
    if not isinstance(image, np.ndarray):
        raise InputError(f"{name}: expected an array, got {type(image).__name__}")
    if image.dtype != np.uint8 and image.dtype.kind != "f":
        raise InputError(f"{name}: expected bytes, or floats in 0..1, got {image.dtype}")
    # Frames are often read-only or flipped views, which PyTorch does not take.
    return torch.from_numpy(np.array(image, order="C"))


def _bytes(frame: Tensor, name: str) -> Tensor:
    if not torch.isfinite(frame).all():
        raise InputError(f"{name}: holds NaN or infinity")
    low, high = frame.min().item(), frame.max().item()
    if low < -_FLOAT_SLACK or high > 1 + _FLOAT_SLACK:
        raise InputError(
            f"{name}: expected floats in 0..1, got {low:g} to {high:g}; give bytes instead"
        )
    return (frame.clamp(0, 1) * 255).to(torch.uint8)


def slot_pixels(
    images: Sequence[Image | None], slots: int, plan: PixelPlan, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return 1 x slots x picture, and which slots hold one.

    An empty slot shows what the first full one does, and is masked.
    """
    if len(images) > slots:
        raise InputError(f"images: expected at most {slots} camera slots, got {len(images)}")
    pictures = {
        slot: plan(as_frame(image, f"image {slot}").to(device, non_blocking=True))
        for slot, image in enumerate(images)
        if image is not None
    }
    if not pictures:
        raise InputError("images: expected at least one camera's frame, got none")
    stand_in = pictures[min(pictures)]
    pixels = torch.stack([pictures.get(slot, stand_in) for slot in range(slots)])
    mask = torch.tensor([[slot in pictures for slot in range(slots)]])
    return pixels[None], mask.to(device)
