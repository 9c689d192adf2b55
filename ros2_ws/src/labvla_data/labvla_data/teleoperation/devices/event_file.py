"""Input devices as the Linux kernel offers them: /dev/input/event*, read without any library.

The layout of an event and the numbers of requests are the kernel's stable interface
(linux/input.h, linux/input-event-codes.h).
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from labvla_data.teleoperation.reading import DeviceLost, DeviceMissing

FOLDER = Path("/dev/input")
EVENT = struct.Struct("llHHi")  # two words of time, type, code, value
EV_SYN, EV_KEY, EV_REL, EV_ABS = 0, 1, 2, 3
SYN_DROPPED = 3
_ABS_INFO = struct.Struct("6i")  # value, minimum, maximum, fuzz, flat, resolution
_AT_ONCE = 64  # events in a read


@dataclass(frozen=True)
class Event:
    """One change."""

    kind: int
    code: int
    value: int


@dataclass(frozen=True)
class Range:
    """What an absolute axis may say."""

    low: int
    high: int

    def share(self, value: int) -> float:
        """Return a value as -1 to 1."""
        return (2.0 * value - self.low - self.high) / max(1, self.high - self.low)


class Source(Protocol):
    """Where events come from."""

    @property
    def name(self) -> str:
        """What the device calls itself."""

    def events(self) -> Iterator[Event]:
        """Return what has happened since the last call, without waiting."""

    def range_of(self, axis: int) -> Range | None:
        """Return the range of an absolute axis; None for an axis that is not there."""

    def close(self) -> None:
        """Give it back."""


class EventFile:
    """One device of the kernel."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self.name = self._ask_name()

    def events(self) -> Iterator[Event]:
        """Return what has happened since the last call."""
        while data := self._read():
            for _, _, kind, code, value in EVENT.iter_unpack(data):
                yield Event(kind, code, value)

    def range_of(self, axis: int) -> Range | None:
        """Return what an absolute axis may say."""
        buffer = bytearray(_ABS_INFO.size)
        try:
            fcntl.ioctl(self._descriptor, _request(0x40 + axis, len(buffer)), buffer)
        except OSError:
            return None
        _, low, high, *_ = _ABS_INFO.unpack(buffer)
        return Range(low, high) if high > low else None

    def capabilities(self, kind: int, most: int) -> frozenset[int]:
        """Return which codes of a kind the device has."""
        buffer = bytearray(most // 8 + 1)
        try:
            fcntl.ioctl(self._descriptor, _request(0x20 + kind, len(buffer)), buffer)
        except OSError:
            return frozenset()
        return frozenset(code for code in range(most) if buffer[code // 8] >> code % 8 & 1)

    def close(self) -> None:
        """Give it back."""
        os.close(self._descriptor)

    def _read(self) -> bytes:
        try:
            readable, _, _ = select.select([self._descriptor], [], [], 0)
            if not readable:
                return b""
            data = os.read(self._descriptor, EVENT.size * _AT_ONCE)
        except BlockingIOError:
            return b""
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise
            data = b""
        if not data:  # readable, and nothing there: the end
            raise DeviceLost(f"{self.name} was unplugged")
        return data[: len(data) // EVENT.size * EVENT.size]

    def _ask_name(self) -> str:
        buffer = bytearray(256)
        try:
            fcntl.ioctl(self._descriptor, _request(0x06, len(buffer)), buffer)
        except OSError:
            return str(self._path)
        return buffer.split(b"\0")[0].decode(errors="replace")


def _request(number: int, size: int) -> int:
    """Return the kernel's code for a request that reads `size` bytes from an input device."""
    return 2 << 30 | size << 16 | ord("E") << 8 | number


def find(
    what: str, fits: Callable[[EventFile], bool], path: Path | None = None, folder: Path = FOLDER
) -> EventFile:
    """Open the first device that fits, or the one that the person names."""
    paths = [path] if path else sorted(folder.glob("event*"), key=_number)
    forbidden = []
    for candidate in paths:
        try:
            device = EventFile(candidate)
        except PermissionError:
            forbidden.append(str(candidate))
            continue
        except OSError as error:
            if path is None:
                continue
            raise DeviceMissing(f"{path}: {error.strerror}") from None
        if path is not None or fits(device):
            return device
        device.close()
    raise DeviceMissing(_why_none(what, paths, forbidden, folder))


def _number(path: Path) -> int:
    digits = path.name.removeprefix("event")
    return int(digits) if digits.isdigit() else -1


def _why_none(what: str, paths: Sequence[Path], forbidden: Sequence[str], folder: Path) -> str:
    if forbidden:
        return (
            f"no {what} among the input devices that may be read, and {', '.join(forbidden)} may "
            "not: add yourself to the group input (sudo usermod -aG input $USER) and log in again"
        )
    if not paths:
        return f"no input device in {folder}: in a container, give it --device {folder}"
    return f"no {what} among {len(paths)} input devices: plug it in, or name it with --input"
