"""What the machine can do at best, measured in the run itself: data sheets promise others."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

_SECONDS = 0.4  # for each probe; the best of what was measured in it counts
_MATRIX = {"cuda": (2048, 4096, 8192), "cpu": (256, 512, 1024)}  # which is best depends
_COPY = {"cuda": 1 << 30, "cpu": 1 << 28}  # bytes: more than any cache holds


@dataclass(frozen=True)
class Peaks:
    """Best rates of one device."""

    flops: float  # of a matrix product, 1/s
    bytes: float  # read and written by a copy, 1/s


def measure_peaks(device: torch.device, dtype: torch.dtype) -> Peaks:
    """Multiply and copy until the best of it is known."""
    best = 0.0
    for side in _MATRIX[device.type]:
        one = torch.randn(side, side, device=device).to(dtype)
        seconds = _best(lambda one=one: one @ one, device)  # type: ignore[misc]  # kept by the loop
        best = max(best, 2 * side**3 / seconds)
    source = torch.empty(_COPY[device.type], dtype=torch.uint8, device=device).fill_(1)
    target = torch.empty_like(source)
    seconds = _best(lambda: target.copy_(source), device)
    return Peaks(flops=best, bytes=2 * source.nbytes / seconds)


def _best(work: Callable[[], object], device: torch.device) -> float:
    best, end = float("inf"), time.perf_counter() + _SECONDS
    while True:
        begin = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        now = time.perf_counter()
        best = min(best, now - begin)
        if now > end:
            return best
