"""Decodes messages by the definitions that a bag carries along: any version of them, without ROS.

A message becomes a dict by field name; sequences of numbers become arrays, nested messages dicts.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from labvla_data.bag.definitions import SEPARATOR

Message = dict[str, Any]

_ENCAPSULATION = 4  # bytes in front of the message: byte order and options
_ORDERS = {0: ">", 1: "<"}
_NUMBERS = {
    "bool": "?", "byte": "B", "char": "B", "int8": "b", "uint8": "B", "int16": "h", "uint16": "H",
    "int32": "i", "uint32": "I", "int64": "q", "uint64": "Q", "float32": "f", "float64": "d",
}  # fmt: skip
_FIELD = re.compile(
    r"(?P<type>[A-Za-z][\w/]*)(?:<=\d+)?(?P<array>\[(?:<=)?\d*\])?\s+(?P<name>[A-Za-z]\w*)(?P<rest>.*)"
)

# Reads one field, given the decoder's place in the message.
_Read = Callable[["_Cursor"], Any]


class DecodeError(ValueError):
    """A message does not fit its definition; the text says where."""


class Decoder:
    """Decodes messages of one type."""

    def __init__(self, kind: str, definition: str) -> None:
        self.kind = kind
        self._read = _message_reader(kind, _sections(kind, definition))

    def __call__(self, data: bytes | memoryview) -> Message:
        """Return the message."""
        if len(data) < _ENCAPSULATION or data[1] not in _ORDERS:
            raise DecodeError(f"{self.kind}: expected a CDR header, got {bytes(data[:4]).hex(' ')}")
        try:
            message: Message = self._read(_Cursor(memoryview(data)[_ENCAPSULATION:], data[1]))
        except (struct.error, ValueError, UnicodeDecodeError) as error:
            raise DecodeError(f"{self.kind}: the message does not fit its type: {error}") from None
        return message


@lru_cache(maxsize=256)
def decoder(kind: str, definition: str) -> Decoder:
    """Return the decoder of a type."""
    return Decoder(kind, definition)


class _Cursor:
    """A place in a message."""

    def __init__(self, body: memoryview, order: int) -> None:
        self.body, self.order, self.at = body, _ORDERS[order], 0

    def take(self, size: int, alignment: int) -> int:
        """Step over an item; return where it begins."""
        begin = -(-self.at // alignment) * alignment
        if begin + size > len(self.body):
            raise ValueError(f"{size} bytes wanted at {begin}, it has {len(self.body)}")
        self.at = begin + size
        return begin

    def unsigned(self) -> int:
        return int(struct.unpack_from(f"{self.order}I", self.body, self.take(4, 4))[0])

    def text(self) -> str:
        size = self.unsigned()
        begin = self.take(size, 1)
        return bytes(self.body[begin : begin + max(size - 1, 0)]).decode()


def _sections(kind: str, definition: str) -> dict[str, str]:
    """Return the text of every type in a definition, by its full name."""
    first, *others = re.split(rf"^{SEPARATOR}\n", definition, flags=re.MULTILINE)
    found = {kind: first}
    for section in others:
        head, _, text = section.partition("\n")
        found[_full_name(head.removeprefix("MSG:").strip(), "")] = text
    return found


def _full_name(name: str, package: str) -> str:
    owner, _, short = name.rpartition("/")
    owner = owner.removesuffix("/msg") or package
    return f"{owner}/msg/{short}"


def _message_reader(kind: str, sections: Mapping[str, str]) -> _Read:
    if kind not in sections:
        raise DecodeError(f"{kind}: expected its definition in the bag, there is none")
    package = kind.partition("/")[0]
    fields: list[tuple[str, _Read]] = []
    for line in sections[kind].splitlines():
        field = _FIELD.match(line.partition("#")[0].strip())
        if field is None or field["rest"].lstrip().startswith("="):
            continue  # a comment, or a constant
        read = _field_reader(field["type"], field["array"], package, sections)
        fields.append((field["name"], read))

    def read_message(cursor: _Cursor) -> Message:
        return {name: read(cursor) for name, read in fields}

    return read_message


def _field_reader(name: str, array: str | None, package: str, sections: Mapping[str, str]) -> _Read:
    if name in _NUMBERS:
        return _number_reader(_NUMBERS[name], array)
    one: _Read = _Cursor.text
    if name != "string":
        one = _message_reader(_full_name(name, package), sections)
    if array is None:
        return one
    length = _fixed_length(array)
    return lambda cursor: [
        one(cursor) for _ in range(cursor.unsigned() if length is None else length)
    ]


def _number_reader(code: str, array: str | None) -> _Read:
    size = struct.calcsize(f"<{code}")
    if array is None:
        return lambda cursor: struct.unpack_from(
            cursor.order + code, cursor.body, cursor.take(size, size)
        )[0]
    length = _fixed_length(array)

    def read_array(cursor: _Cursor) -> Any:
        count = cursor.unsigned() if length is None else length
        # An empty sequence is not followed by the gap that its items would need.
        begin = cursor.take(count * size, size) if count else 0
        return np.frombuffer(cursor.body, f"{cursor.order}{code}", count, begin).copy()

    return read_array


def _fixed_length(array: str) -> int | None:
    """Return the length of an array such as [9]; None for a sequence, bounded or not."""
    inside = array[1:-1]
    return int(inside) if inside.isdigit() else None
