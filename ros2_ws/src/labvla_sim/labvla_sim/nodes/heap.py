"""Has the C library give large blocks back to the system when they are freed.

Left alone, glibc learns from the first large block that is freed to keep such blocks in its heap. A
scene is built anew at every reset: what lives on between freed scenes keeps their pages, and in
twenty resets the simulator grew by half. Blocks above a fixed size come from the system and go back
to it.
"""

from __future__ import annotations

import ctypes

_M_MMAP_THRESHOLD = -3
LARGE = 1 << 20  # bytes: models and what is drawn from them; pictures of a stream are smaller


def give_large_blocks_back() -> None:
    """Settle it for this process; a C library without this setting is left as it is."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, LARGE)
