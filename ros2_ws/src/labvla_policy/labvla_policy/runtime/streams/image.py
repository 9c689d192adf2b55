"""Turns image messages into height x width x 3 arrays of 8-bit red, green and blue.

Raw formats become views: nothing is copied, and nothing can be written. Every way in which a
message can differ from what the cell declares has a refusal of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from labvla_policy.runtime.refusal import Refusal, Refused
from labvla_policy.runtime.types import Pixels

try:
    import cv2
except ImportError:  # only JPEG needs it; raw cameras do without
    cv2 = None  # type: ignore[assignment]

_CHANNELS = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1}
_JPEG_START, _JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
# A driver may pad a JPEG to a multiple of its buffer size: the end mark is searched in this tail.
_JPEG_PADDING = 64
# Markers that begin a frame header: C0 to CF without the tables DHT, JPG and DAC.
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


class ImageMessage(Protocol):
    """What sensor_msgs/Image has, and cdr.Image for both raw and compressed ones."""

    @property
    def encoding(self) -> str:
        """Pixel format, or what kind of compression."""

    @property
    def width(self) -> int:
        """Pixels per row."""

    @property
    def height(self) -> int:
        """Rows of pixels."""

    @property
    def step(self) -> int:
        """Bytes per row."""

    @property
    def is_bigendian(self) -> bool:
        """Whether the upper byte of 16-bit values comes first."""

    @property
    def data(self) -> Any:
        """The bytes, as anything that has a buffer."""


@dataclass(frozen=True)
class ImageFormat:
    """What a camera is declared to send."""

    encoding: str  # as sensor_msgs names it, or jpeg
    width: int
    height: int


def decode(
    message: ImageMessage,
    declared: ImageFormat,
    convert: Callable[[ImageMessage], Pixels] | None = None,
) -> Pixels:
    """Return the pixels, red first and read-only, or raise the reason for refusing the message.

    `convert` turns encodings that are not built in into colours, or refuses them.
    """
    if declared.encoding == "jpeg":
        return _sized(_from_jpeg(message, declared), declared)
    if message.encoding != declared.encoding:
        raise _refused(
            "image_encoding",
            f"expected {declared.encoding} as the cell declares, got {message.encoding!r}: "
            "repair the driver's format or the cell's `encoding`",
        )
    _check_size(message.width, message.height, declared)
    if message.encoding in _CHANNELS:
        return _from_raw(message)
    if convert is None:
        raise _refused(
            "image_decoder",
            f"{message.encoding} needs cv_bridge, which is not installed (apt: "
            "ros-$ROS_DISTRO-cv-bridge); or set the driver to rgb8",
        )
    needed, size = message.step * message.height, memoryview(message.data).nbytes
    if size < needed:
        raise _refused(
            "image_buffer",
            f"expected {needed} bytes for {message.height} rows of {message.step}, got {size}",
        )
    return _sized(convert(message), declared)


def _from_raw(message: ImageMessage) -> Pixels:
    channels = _CHANNELS[message.encoding]
    row = message.width * channels
    data = np.frombuffer(message.data, np.uint8)
    needed = message.step * (message.height - 1) + row
    if message.step < row or data.size < needed:
        raise _refused(
            "image_buffer",
            f"expected a step of at least {row} and {needed} bytes for {message.width} x "
            f"{message.height} {message.encoding}, got {message.step} and {data.size}",
        )
    pixels = np.lib.stride_tricks.as_strided(
        data, (message.height, message.width, channels), (message.step, channels, 1)
    )
    if channels == 1:
        pixels = np.broadcast_to(pixels, (message.height, message.width, 3))
    pixels = pixels[..., 2::-1] if message.encoding.startswith("bgr") else pixels[..., :3]
    pixels.flags.writeable = False
    return pixels


def _from_jpeg(message: ImageMessage, declared: ImageFormat) -> Pixels:
    data = np.frombuffer(message.data, np.uint8)
    if data[:3].tobytes() != _JPEG_START:
        raise _refused(
            "image_encoding",
            f"expected a JPEG as the cell declares, got {message.encoding!r} that begins with "
            f"{data[:3].tobytes().hex(' ') or 'nothing'}",
        )
    if _JPEG_END not in data[-_JPEG_PADDING:].tobytes():
        # The library would fill the missing part with grey and call it a success.
        raise _refused("image_corrupt", f"a JPEG of {data.size} bytes without its end mark")
    size = _jpeg_size(memoryview(message.data).cast("B"))
    if size is None:
        raise _refused("image_corrupt", f"a JPEG of {data.size} bytes without a frame header")
    _check_size(*size, declared)
    if cv2 is None:
        raise _refused(
            "image_decoder", "JPEG needs OpenCV (cv2), which is not installed; or use raw images"
        )
    bgr = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if bgr is None:
        raise _refused("image_corrupt", f"a JPEG of {data.size} bytes that cannot be decoded")
    pixels = np.asarray(bgr, dtype=np.uint8)[..., ::-1]
    pixels.flags.writeable = False
    return pixels


def _jpeg_size(data: memoryview) -> tuple[int, int] | None:
    """Return width and height from the frame header, so that no giant is ever unpacked."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _JPEG_FRAMES:
            return int.from_bytes(data[at + 7 : at + 9]), int.from_bytes(data[at + 5 : at + 7])
        # a fill byte is one long; other markers are followed by the length of their segment
        at += 1 if marker == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4])
    return None


def _sized(pixels: Pixels, declared: ImageFormat) -> Pixels:
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
        raise _refused(
            "image_encoding",
            f"expected height x width x 3 of uint8 from the converter, got {pixels.shape} of "
            f"{pixels.dtype}",
        )
    _check_size(pixels.shape[1], pixels.shape[0], declared)
    return pixels


def _check_size(width: int, height: int, declared: ImageFormat) -> None:
    if (width, height) != (declared.width, declared.height):
        raise _refused(
            "image_size",
            f"expected {declared.width} x {declared.height} as the cell declares, got {width} x "
            f"{height}: repair the driver's profile or the cell's `width` and `height`",
        )


def _refused(reason: str, detail: str) -> Refused:
    return Refused(Refusal(reason, detail))
