"""What a run tells while it goes: a line of JSON each time, and the same for TensorBoard.

RUN/log.jsonl                      {"step", "time", "total", …}, {"step", "time", "held_out": {…}}
RUN/events.out.tfevents.0.labvla   scalars by name and step
"""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

LOG = "log.jsonl"
EVENTS = "events.out.tfevents.0.labvla"


class Log:
    """Appends; what was told after the step from which a run goes on is taken back."""

    def __init__(self, folder: Path, step: int) -> None:
        self._log, self._events = folder / LOG, folder / EVENTS
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        kept = [
            entry for entry in map(json.loads, filter(str.strip, lines)) if entry["step"] <= step
        ]
        self._log.write_text("".join(json.dumps(entry) + "\n" for entry in kept))
        begin = kept[0]["time"] if kept else time.time()
        self._events.write_bytes(record(version_event(begin)) + b"".join(map(_record_of, kept)))

    def tell(self, step: int, entry: Mapping[str, Any]) -> None:
        """Write an entry down."""
        whole = {"step": step, "time": round(time.time(), 3), **entry}
        with self._log.open("a") as file:
            file.write(json.dumps(whole) + "\n")
        with self._events.open("ab") as events:
            events.write(_record_of(whole))


def _record_of(entry: Mapping[str, Any]) -> bytes:
    return record(scalar_event(entry["time"], entry["step"], dict(_scalars(entry))))


def _scalars(entry: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in entry.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}/{inner}", float(number)) for inner, number in value.items())
        elif name not in ("step", "time"):
            yield f"learnt/{name}", float(value)


# TensorBoard reads records of protocol buffers. Scalars need five fields of them: less than the
# packages that would write them.


def record(data: bytes) -> bytes:
    """Frame an event: its length and its content, each with a checksum."""
    length = struct.pack("<Q", len(data))
    return length + _checked(length) + data + _checked(data)


def version_event(at: float) -> bytes:
    """Return the event that every file begins with."""
    return _double(1, at) + _bytes(3, b"brain.Event:2")


def scalar_event(at: float, step: int, scalars: Mapping[str, float]) -> bytes:
    """Return the event that holds scalars of a step."""
    values = [_bytes(1, name.encode()) + _float(2, value) for name, value in scalars.items()]
    summary = b"".join(_bytes(1, value) for value in values)
    return _double(1, at) + _varint(2 << 3) + _varint(step) + _bytes(5, summary)


def _varint(number: int) -> bytes:
    parts = []
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])


def _bytes(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _double(field: int, value: float) -> bytes:
    return _varint(field << 3 | 1) + struct.pack("<d", value)


def _float(field: int, value: float) -> bytes:
    return _varint(field << 3 | 5) + struct.pack("<f", value)


def _checked(data: bytes) -> bytes:
    checksum = crc32c(data)
    masked = ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF
    return struct.pack("<I", masked)


def crc32c(data: bytes) -> int:
    """Return Castagnoli's checksum."""
    checksum = 0xFFFFFFFF
    for byte in data:
        checksum = _TABLE[(checksum ^ byte) & 0xFF] ^ checksum >> 8
    return checksum ^ 0xFFFFFFFF


def _row(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
    return byte


_TABLE = [_row(byte) for byte in range(256)]
