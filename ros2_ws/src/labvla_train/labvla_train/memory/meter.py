"""Counts the bytes of all tensors that live while something runs; on `meta` as elsewhere."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class MemoryMeter(TorchDispatchMode):
    """Within it, every storage that an operation makes is counted until nobody holds it."""

    def __init__(self) -> None:
        super().__init__()
        self._live: dict[int, weakref.ref[Any]] = {}
        self.bytes = 0
        self.peak = 0

    def hold(self, tensors: Iterable[Tensor]) -> int:
        """Count tensors that are there already; return their bytes."""
        before = self.bytes
        for tensor in tensors:
            self._count(tensor)
        return self.bytes - before

    def __torch_dispatch__(
        self,
        function: Callable[..., Any],
        _types: Any,
        values: tuple[Any, ...] = (),
        named: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run one operation and count what it makes."""
        result = function(*values, **(named or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._count(leaf)
        return result

    def _count(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        number = storage._cdata  # views share it
        if number in self._live:
            return
        size = storage.nbytes()
        self._live[number] = weakref.ref(storage, lambda _: self._forget(number, size))
        self.bytes += size
        self.peak = max(self.peak, self.bytes)

    def _forget(self, number: int, size: int) -> None:
        if self._live.pop(number, None) is not None:
            self.bytes -= size
