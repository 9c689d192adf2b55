"""Reads the few ROS messages that the runtime needs from their serialised bytes.

A node that subscribes to raw messages hands over the middleware's buffer as it is: pictures are
then views into it, and a message that nobody uses costs only the reading of its stamp. The format
is OMG CDR (version 1), as every ROS 2 middleware sends it: alignment counts from the first byte
after the 4-byte encapsulation header, whose second byte says which end comes first.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from labvla_policy.runtime.refusal import Refusal, Refused
from labvla_policy.runtime.types import NANOSECONDS, Array

Bytes = bytes | bytearray | memoryview

_ENCAPSULATION = 4
_BYTE_ORDERS = {0: ">", 1: "<"}


@dataclass(frozen=True)
class Image:
    """A sensor_msgs/Image or CompressedImage; width, height and step are 0 in the latter."""

    encoding: str
    width: int
    height: int
    step: int
    data: memoryview
    frame_id: str = ""
    is_bigendian: bool = False  # plays a part in 16-bit formats


@dataclass(frozen=True)
class JointState:
    """What the runtime reads of a sensor_msgs/JointState."""

    name: tuple[str, ...]
    position: Array


def read_stamp(message: Bytes) -> int:
    """Return the stamp (ns) of any message that begins with a header."""
    return _Reader(message).stamp()


def read_image(message: Bytes) -> Image:
    """Return a sensor_msgs/Image; its data is a view into the message."""
    reader = _Reader(message)
    frame_id = reader.header()
    height, width = reader.unsigned(), reader.unsigned()
    encoding = reader.text()
    is_bigendian = bool(reader.octet())
    step, data = reader.unsigned(), reader.octets()
    return Image(encoding, width, height, step, data, frame_id, is_bigendian)


def read_compressed_image(message: Bytes) -> Image:
    """Return a sensor_msgs/CompressedImage; its data is a view into the message."""
    reader = _Reader(message)
    frame_id = reader.header()
    return Image(reader.text(), 0, 0, 0, reader.octets(), frame_id)


def read_joint_state(message: Bytes) -> JointState:
    """Return names and positions of a sensor_msgs/JointState."""
    reader = _Reader(message)
    reader.header()
    names = tuple(reader.text() for _ in range(reader.length(smallest_item=5)))
    return JointState(names, reader.doubles())


class _Reader:
    """Walks through a message and refuses what does not fit into it."""

    def __init__(self, message: Bytes) -> None:
        view = memoryview(message)
        if len(view) < _ENCAPSULATION or view[1] not in _BYTE_ORDERS or view[0] != 0:
            raise _corrupt(f"expected a CDR header, got {bytes(view[:_ENCAPSULATION]).hex(' ')}")
        self._body = view[_ENCAPSULATION:]
        self._order = _BYTE_ORDERS[view[1]]
        self._at = 0

    def _take(self, size: int, alignment: int) -> int:
        """Step over an item and return where it begins."""
        begin = -(-self._at // alignment) * alignment
        if begin + size > len(self._body):
            raise _corrupt(
                f"expected {size} bytes at {begin}, but the message has {len(self._body)}: "
                "it was cut short, or it is of another type"
            )
        self._at = begin + size
        return begin

    def stamp(self) -> int:
        seconds, nanoseconds = struct.unpack_from(self._order + "iI", self._body, self._take(8, 4))
        return int(seconds) * NANOSECONDS + int(nanoseconds)

    def header(self) -> str:
        """Step over a header and return its frame."""
        self.stamp()
        return self.text()

    def octet(self) -> int:
        return self._body[self._take(1, 1)]

    def unsigned(self) -> int:
        return int(struct.unpack_from(self._order + "I", self._body, self._take(4, 4))[0])

    def length(self, smallest_item: int) -> int:
        """Return the length of a sequence; one that cannot fit is refused before it is read."""
        count = self.unsigned()
        left = len(self._body) - self._at
        if count * smallest_item > left:
            raise _corrupt(f"expected {count} items, but only {left} bytes are left")
        return count

    def text(self) -> str:
        size = self.length(smallest_item=1)
        begin = self._take(size, 1)
        try:
            return bytes(self._body[begin : begin + max(size - 1, 0)]).decode()
        except UnicodeDecodeError:
            raise _corrupt(f"expected text of {size} bytes at {begin}") from None

    def octets(self) -> memoryview:
        size = self.length(smallest_item=1)
        begin = self._take(size, 1)
        return self._body[begin : begin + size]

    def doubles(self) -> Array:
        count = self.length(smallest_item=8)
        begin = self._take(count * 8, 8) if count else 0
        values = np.frombuffer(self._body, self._order + "f8", count, begin)
        return values.astype(np.float64)


def _corrupt(detail: str) -> Refused:
    return Refused(Refusal("message_corrupt", detail))
