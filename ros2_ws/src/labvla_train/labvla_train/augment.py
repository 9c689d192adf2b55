"""How pictures are varied before the network sees them. Bytes in, bytes out."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from labvla_train.settings import AugmentSettings

Pixels = NDArray[np.uint8]
_RAMP = np.arange(256, dtype=np.float32)


def varied(picture: Pixels, settings: AugmentSettings, chance: np.random.Generator) -> Pixels:
    """Return a picture as another camera, in another light, might have taken it."""
    if settings.shift:
        picture = _shifted(picture, settings.shift, chance)
    if settings.saturation:
        grey = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        picture = _away_from(grey, picture, 1 + chance.uniform(-1, 1) * settings.saturation)
    if settings.sharpness:
        blurred = cv2.blur(picture, (3, 3))
        picture = _away_from(blurred, picture, 1 + chance.uniform(-1, 1) * settings.sharpness)
    if settings.brightness or settings.contrast or settings.tint:
        picture = cv2.LUT(picture, _light(picture, settings, chance))
    return picture


def _shifted(picture: Pixels, most: int, chance: np.random.Generator) -> Pixels:
    """Move the picture; what comes in at the edges repeats the edge."""
    down, right = chance.integers(-most, most + 1, size=2)
    height, width = picture.shape[:2]
    rows = np.clip(np.arange(height) + down, 0, height - 1)
    columns = np.clip(np.arange(width) + right, 0, width - 1)
    return np.ascontiguousarray(picture[rows][:, columns])


def _away_from(other: Any, picture: Pixels, factor: float) -> Pixels:
    """Mix: 0 is the other picture, 1 the picture itself, and more leads on."""
    mixed: Pixels = cv2.addWeighted(picture, factor, other, 1 - factor, 0)
    return mixed


def _light(picture: Pixels, settings: AugmentSettings, chance: np.random.Generator) -> Pixels:
    """Return what becomes of each level of each colour: 1 x 256 x 3."""
    brightness, contrast = 1 + chance.uniform(-1, 1, size=2) * (
        settings.brightness,
        settings.contrast,
    )
    tint = 1 + chance.uniform(-1, 1, size=3) * settings.tint
    middle = float(picture[::4, ::4].mean())  # of every 16th pixel: exact enough for a jitter
    levels = ((_RAMP - middle) * contrast + middle)[:, None] * brightness * tint
    table: Pixels = np.clip(levels, 0, 255).astype(np.uint8)[None]
    return table
