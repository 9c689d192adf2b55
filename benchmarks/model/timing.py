"""Latencies as a caller sees them: from the call until the device has done it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Latency:
    """Of many calls, in seconds."""

    p50: float
    p99: float
    first: float  # of the very first call, which no other figure contains
    calls: int

    @classmethod
    def of(cls, first: float, seconds: Sequence[float]) -> Latency:
        """Sum up."""
        p50, p99 = np.quantile(seconds, [0.5, 0.99])
        return cls(float(p50), float(p99), first, len(seconds))


def synchronise(device: torch.device) -> None:
    """Wait until the device has done everything."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds_of(work: Callable[[], object], device: torch.device) -> float:
    """Return how long one call takes."""
    synchronise(device)
    begin = time.perf_counter()
    work()
    synchronise(device)
    return time.perf_counter() - begin


def measure(
    work: Callable[[], object], device: torch.device, calls: int, warm_up: int = 3
) -> Latency:
    """Call, and call again."""
    first = seconds_of(work, device)
    for _ in range(warm_up):
        work()
    return Latency.of(first, [seconds_of(work, device) for _ in range(calls)])
