"""How much a computation has to do at least: counted on shapes, without doing it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

_PRODUCTS = {
    torch.ops.aten.mm.default,
    torch.ops.aten.addmm.default,
    torch.ops.aten.convolution.default,
}


@dataclass(frozen=True)
class Work:
    """Operations of matrix products, and the bytes that these have to read and write."""

    flops: int = 0
    bytes: int = 0

    def least_seconds(self, flops: float, rate: float) -> float:
        """Return what a machine with these peaks needs, if nothing ever waits for anything."""
        return max(self.flops / flops, self.bytes / rate)


def count(function: Callable[[], object]) -> Work:
    """Count what a function does to tensors on the device `meta`.

    Bytes are those of weights, inputs and outputs of matrix products, each time that they are
    used, and of queries, keys, values and results of attention. What is done element by element is
    not counted: it could be part of the products.
    """
    counter = _Counter()
    with counter, _Attention(counter):
        function()
    return Work(counter.flops, counter.bytes)


class _Counter(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.flops = self.bytes = 0
        self.within_attention = False

    def __torch_dispatch__(
        self, function: Any, kinds: Any, values: Any = (), options: Any = None
    ) -> Any:
        options = options or {}
        result = function(*values, **options)
        flops = flop_registry.get(function._overloadpacket)
        if flops is not None:
            self.flops += flops(*values, **options, out_val=result)
        if function in _PRODUCTS and not self.within_attention:
            self.add(values, result)
        return result

    def add(self, *values: Any) -> None:
        self.bytes += sum(_size(v) for v in tree_leaves(values) if isinstance(v, Tensor))


class _Attention(TorchFunctionMode):
    """On shapes alone attention falls apart into its products, as no fast kernel would do it."""

    def __init__(self, counter: _Counter) -> None:
        super().__init__()
        self._counter = counter

    def __torch_function__(
        self, function: Any, kinds: Any, values: Any = (), options: Any = None
    ) -> Any:
        if function is not torch.nn.functional.scaled_dot_product_attention:
            return function(*values, **(options or {}))
        self._counter.within_attention = True
        result = function(*values, **(options or {}))
        self._counter.within_attention = False
        self._counter.add(values[:3], result)
        return result


def _size(tensor: Tensor) -> int:
    """Return the bytes that lie in memory: what is only repeated by its strides lies there once."""
    lengths = zip(tensor.shape, tensor.stride(), strict=True)
    count = 1
    for length, stride in lengths:
        count *= length if stride else 1
    return count * int(tensor.element_size())
