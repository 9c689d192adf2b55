"""Brings camera frames to the device as bytes; what is done to them is done there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Upload:
    """Copies frames through memory that the device reads by itself.

    One buffer for each slot and size, used again for every frame: what the last upload started
    must be done before the next one, as it is once a chunk has been read back.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pinned: dict[tuple[int, tuple[int, ...]], Tensor] = {}

    def __call__(self, images: Sequence[NDArray[np.uint8] | None]) -> list[Tensor | None]:
        """Return the frames on the device; None stays None."""
        return [None if image is None else self._moved(n, image) for n, image in enumerate(images)]

    def _moved(self, slot: int, image: NDArray[np.uint8]) -> Tensor:
        if self._device.type != "cuda":
            return torch.from_numpy(np.array(image))  # frames are read-only views of messages
        place = slot, image.shape
        if place not in self._pinned:
            self._pinned[place] = torch.empty(image.shape, dtype=torch.uint8, pin_memory=True)
        np.copyto(self._pinned[place].numpy(), image)
        return self._pinned[place].to(self._device, non_blocking=True)
