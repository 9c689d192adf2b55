"""The fingerprint of an observation: whoever rebuilds it from a recording must get the same.

The hash is SHA-256 over these bytes, in this order, all integers little-endian:

1. `labvla.observation.1` and a line feed
2. number of image slots, 1 byte; then for each slot
   - one byte 0 if it is masked, otherwise one byte 1,
   - height and width, 4 bytes each,
   - the SHA-256 (32 bytes) of the pixels: rows from the top, each pixel as red, green, blue
3. number of state columns, 4 bytes; then each column as an IEEE 754 double, negative zero as zero
4. the instruction in UTF-8

Pixels are hashed on their own so that a picture's hash can be kept with it: the same frame serves
several observations.
"""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from labvla_policy.runtime.types import Array, Pixels

_BEGINNING = b"labvla.observation.1\n"


def pixel_digest(pixels: Pixels) -> bytes:
    """Return the SHA-256 of a picture's pixels."""
    return hashlib.sha256(np.ascontiguousarray(pixels).data).digest()


def observation_digest(images: Sequence[Pixels | None], state: Array, instruction: str) -> bytes:
    """Return the hash of pictures, state columns and instruction."""
    whole = hashlib.sha256(_BEGINNING)
    whole.update(struct.pack("<B", len(images)))
    for pixels in images:
        if pixels is None:
            whole.update(b"\0")
            continue
        whole.update(struct.pack("<BII", 1, *pixels.shape[:2]) + pixel_digest(pixels))
    whole.update(struct.pack("<I", len(state)))
    whole.update((np.asarray(state) + 0.0).astype("<f8").tobytes())
    whole.update(instruction.encode())
    return whole.digest()
