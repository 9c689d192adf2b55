"""Serialised messages that carry a stamp and a number, made once and changed in place.

The number is the sender's own: the middleware and the recorders know nothing of it.
"""

from __future__ import annotations

import struct

from builtin_interfaces.msg import Time
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, JointState
from std_msgs.msg import Header

from labvla_msgs.msg import ControllerState
from labvla_policy.runtime.cell import Cell

_STAMP = struct.Struct("<iI")
_STAMP_AT = 4  # after the encapsulation header: every type here begins with its stamp
_NUMBER = struct.Struct("<d")
_MARK = -123456.75  # a number that no message holds by itself
NANOSECONDS = 1_000_000_000

JPEG_BYTES = 80_000  # a picture of a bench, 640 x 480 at a quality of 90

# Types whose number can be read back.
_PICTURES = {"sensor_msgs/msg/Image": Image, "sensor_msgs/msg/CompressedImage": CompressedImage}
_STATE = "sensor_msgs/msg/JointState"
READABLE = frozenset({*_PICTURES, _STATE})


class Numbered:
    """A message of one topic, to be sent again and again."""

    def __init__(self, message: object) -> None:
        self._bytes = bytearray(serialize_message(message))
        self._at = self._bytes.find(_NUMBER.pack(_MARK))
        self.sent = 0

    def next(self, stamp: int) -> bytes:
        """Return the next one."""
        _STAMP.pack_into(self._bytes, _STAMP_AT, stamp // NANOSECONDS, stamp % NANOSECONDS)
        if self._at >= 0:
            _NUMBER.pack_into(self._bytes, self._at, float(self.sent))
        self.sent += 1
        return bytes(self._bytes)


def template(kind: str, cell: Cell, side: tuple[int, int]) -> Numbered:
    """Return the messages of a type, with pictures of a width and height."""
    header = Header(stamp=Time(), frame_id="frame")
    joints = list(cell.joints)
    zeros = [0.0] * len(joints)
    width, height = side
    match kind.rpartition("/")[2]:
        case "Image":
            size = width * height * 3
            pixels = bytearray(range(256)) * (size // 256 + 1)
            pixels[: _NUMBER.size] = _NUMBER.pack(_MARK)
            message: object = Image(
                header=header,
                width=width,
                height=height,
                encoding="rgb8",
                step=3 * width,
                data=pixels[:size],
            )
        case "CompressedImage":
            content = bytearray(JPEG_BYTES)
            content[: _NUMBER.size] = _NUMBER.pack(_MARK)
            message = CompressedImage(header=header, format="jpeg", data=content)
        case "CameraInfo":
            message = CameraInfo(header=header, width=width, height=height, d=[0.0] * 5)
        case "JointState":
            message = JointState(
                header=header,
                name=joints,
                position=zeros,
                velocity=zeros,
                effort=[_MARK, *zeros[1:]],
            )
        case "ControllerState":
            message = ControllerState(
                joint_names=joints, reference_positions=zeros, measured_positions=zeros
            )
        case _:
            raise ValueError(f"expected a type that is sent here, got {kind}")
    return Numbered(message)


def number_of(kind: str, data: bytes) -> int:
    """Return the number in a message of one of the readable types."""
    if kind == _STATE:
        return int(deserialize_message(data, JointState).effort[0])
    picture = deserialize_message(data, _PICTURES[kind])
    return int(_NUMBER.unpack(picture.data[: _NUMBER.size].tobytes())[0])
