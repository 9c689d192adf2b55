"""Single values of a request: pictures, numbers, texts; as they are needed, or refused by name."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from labvla_policy.runtime.types import Array, Pixels
from labvla_policy.serving.reasons import RequestRefused

SMALLEST, LARGEST = 16, 8192  # pixels on a side
# Resampling overshoots a little; a picture scaled to 0..255 would turn white all over.
FLOAT_RANGE = (-0.5, 1.5)


def image_of(name: str, value: Any) -> Pixels | None:
    """Return height x width x 3 of 8 bits; None for a camera that the client masks."""
    if value is None:
        return None
    if not isinstance(value, np.ndarray):
        raise RequestRefused("image_shape", f"{name}: expected an array, got {shortened(value)}")
    pixels = _channels_last(name, value)
    sides = pixels.shape[:2]
    if min(sides) < SMALLEST or max(sides) > LARGEST:
        raise RequestRefused(
            "image_shape",
            f"{name}: expected sides of {SMALLEST} to {LARGEST} pixels, got {sides[0]} x "
            f"{sides[1]}",
        )
    if pixels.dtype == np.uint8:
        return np.ascontiguousarray(pixels)
    if pixels.dtype.kind != "f":
        raise RequestRefused(
            "image_values", f"{name}: expected uint8, or floats from 0 to 1; got {pixels.dtype}"
        )
    lowest, highest = float(pixels.min()), float(pixels.max())  # NaN if there is one
    if not FLOAT_RANGE[0] <= lowest <= highest <= FLOAT_RANGE[1]:
        raise RequestRefused(
            "image_values",
            f"{name}: expected floats from 0 to 1, got {lowest:g} to {highest:g}; pictures from 0 "
            "to 255 have to be uint8",
        )
    # Cut, not rounded: the policy was trained on pictures made that way.
    return np.ascontiguousarray((np.clip(pixels, 0, 1) * 255).astype(np.uint8))


def _channels_last(name: str, value: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    if value.ndim == 3 and value.shape[2] == 3:
        return value
    if value.ndim == 3 and value.shape[0] == 3:
        return value.transpose(1, 2, 0)
    raise RequestRefused(
        "image_shape",
        f"{name}: expected height x width x 3 or 3 x height x width, got the shape {value.shape}",
    )


def numbers_of(value: Any, name: str, reason: str) -> Array:
    """Return finite numbers."""
    try:
        array = np.asarray(value)
    except ValueError:  # lists of different lengths
        raise RequestRefused(reason, f"{name}: expected numbers, got a ragged list") from None
    if array.dtype.kind not in "iuf":
        raise RequestRefused(reason, f"{name}: expected numbers, got {array.dtype}")
    numbers = array.astype(np.float64)
    if not np.all(np.isfinite(numbers)):
        raise RequestRefused(reason, f"{name}: expected finite numbers, got NaN or infinity")
    return numbers


def text_of(name: str, value: Any) -> str:
    """Return a text."""
    if not isinstance(value, str):
        raise RequestRefused(
            "prompt_unreadable", f"{name}: expected a text, got {shortened(value)}"
        )
    return value


def is_whole(value: Any) -> bool:
    """Whether it is a whole number, and no truth value."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Whether it is a finite number, and no truth value."""
    real = isinstance(value, int | float | np.integer | np.floating)
    return real and not isinstance(value, bool) and math.isfinite(value)


def shortened(value: Any) -> str:
    """Return a value as a refusal may quote it."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"
