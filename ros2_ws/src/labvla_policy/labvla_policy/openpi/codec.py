"""MessagePack with arrays, as openpi and the LabVLA server put it on the wire.

An array is a map whose keys are *bytes*: __ndarray__, data, dtype, shape; a NumPy scalar one with
__npgeneric__, data, dtype. Whatever arrives comes from a stranger: only plain numbers become arrays
(never objects, records or Python code), sizes have to agree exactly, and nothing is allocated for
what a message merely announces.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import msgpack
import numpy as np

MOST_ENTRIES = 256  # of a map: an observation has about ten
MOST_ITEMS = 100_000  # of a plain list: states and rows may come as lists, pictures may not
MOST_DIMENSIONS = 8

_ARRAY, _SCALAR = b"__ndarray__", b"__npgeneric__"
_NUMBERS = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248])")
_SCALARS = re.compile(rf"{_NUMBERS.pattern}|[<>|=]?U\d+")  # np.str_ is a string to its sender


class CodecError(ValueError):
    """Not a message of this protocol; the text says what is wrong with it."""


def encode(value: Any) -> bytes:
    """Return the message for a value of maps, lists, texts, numbers and arrays."""
    try:
        message = msgpack.packb(value, default=_pack)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise CodecError(f"cannot be sent: {error}") from None
    return bytes(message)


def decode(message: bytes) -> Any:
    """Return what a message holds; its arrays are read-only views of the message's bytes."""
    try:
        return msgpack.unpackb(
            message,
            object_pairs_hook=_unpack,
            max_map_len=MOST_ENTRIES,
            max_array_len=MOST_ITEMS,
            max_ext_len=0,
        )
    except CodecError:
        raise
    except (ValueError, TypeError, OverflowError, RecursionError, msgpack.UnpackException) as error:
        detail = str(error) or type(error).__name__
        raise CodecError(f"{len(message)} bytes that are no MessagePack: {detail}") from None


def _pack(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        if value.dtype.kind not in "biufUS":
            raise TypeError(f"an array of {value.dtype} has no place in a message")
        kind = value.dtype.str
        if isinstance(value, np.generic):
            return {_SCALAR: True, b"data": value.item(), b"dtype": kind}
        return {_ARRAY: True, b"data": value.tobytes(), b"dtype": kind, b"shape": value.shape}
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a {type(value).__name__} has no place in a message")


def _unpack(pairs: list[tuple[Any, Any]]) -> Any:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise CodecError("a map that holds a key twice")
    if _ARRAY in found:
        return _array(found)
    if _SCALAR in found:
        return _scalar(found)
    strange = next((key for key in found if not isinstance(key, str)), None)
    if strange is not None:
        raise CodecError(f"expected texts as keys, got {str(strange)[:80]}")
    return found


def _array(found: dict[Any, Any]) -> np.ndarray[Any, Any]:
    data, shape = found.get(b"data"), found.get(b"shape")
    kind = _kind(found, _NUMBERS)
    if not isinstance(data, bytes):
        raise CodecError("an array without bytes")
    if (
        not isinstance(shape, list)
        or len(shape) > MOST_DIMENSIONS
        or not all(type(size) is int and size >= 0 for size in shape)
    ):
        raise CodecError(f"an array of the shape {str(shape)[:80]}")
    expected = math.prod(shape) * kind.itemsize
    if len(data) != expected:
        raise CodecError(
            f"an array of {len(data)} bytes, where {shape} of {kind} are {expected} bytes"
        )
    return np.frombuffer(data, kind).reshape(shape)


def _scalar(found: dict[Any, Any]) -> Any:
    data = found.get(b"data")
    kind = _kind(found, _SCALARS)
    if kind.kind == "U" and isinstance(data, str):
        return data
    if kind.kind != "U" and isinstance(data, bool | int | float):
        try:
            return kind.type(data)
        except OverflowError:
            raise CodecError(f"{data} is no {kind}") from None
    raise CodecError(f"a {type(data).__name__} that is said to be {kind}")


def _kind(found: dict[Any, Any], allowed: re.Pattern[str]) -> np.dtype[Any]:
    name = found.get(b"dtype")
    if not isinstance(name, str) or not allowed.fullmatch(name):
        raise CodecError(f"expected an array of numbers, got one of {str(name)[:80]!r}")
    return np.dtype(name)
