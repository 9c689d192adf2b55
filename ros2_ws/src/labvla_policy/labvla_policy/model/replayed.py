"""A computation that is done again and again on tensors which stay where they are.

On CUDA it is recorded once and replayed as one graph: the time in which Python would launch its
thousands of kernels, longer than they run, is gone. Elsewhere the same function is simply called.
What it reads has to be written into the same tensors each time, and what it returns has to be used
before the next call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import torch

T = TypeVar("T")
_WARM_UP = 3  # calls before recording: libraries choose kernels and allocate in their first ones


class Repeated(Protocol[T]):
    """A function without arguments, and what it returned last."""

    result: T

    def __call__(self) -> T:
        """Compute anew from what lies in the function's tensors now."""
        ...


class Called(Generic[T]):
    """Calls the function."""

    result: T

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self.result = function()

    def __call__(self) -> T:
        """Call it."""
        self.result = self._function()
        return self.result


class Replayed(Generic[T]):
    """Replays what the function did on the device when it was recorded.

    Python does not run again: nothing in the function may depend on values, and nothing can be
    cancelled within it.
    """

    result: T

    def __init__(self, function: Callable[[], T], pool: tuple[int, int] | None) -> None:
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UP):
                function()
        torch.cuda.current_stream().wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, pool=pool):
            self.result = function()

    def __call__(self) -> T:
        """Replay it; the result lies where it lay before."""
        self._graph.replay()
        return self.result


class Recorder:
    """Makes repeated computations that share memory and run one at a time.

    A result lies where computations that were recorded before it may write: it lasts until one of
    them is done again. Results of those recorded before are safe, so record in the order of use.
    """

    def __init__(self, device: torch.device, graphs: bool) -> None:
        self.graphs = graphs and device.type == "cuda"
        self._device = device
        self._pool = torch.cuda.graph_pool_handle() if self.graphs else None

    def record(self, function: Callable[[], T]) -> Repeated[T]:
        """Run the function for the first time, and make it repeatable."""
        if not self.graphs:
            return Called(function)
        with torch.cuda.device(self._device):
            return Replayed(function, self._pool)
