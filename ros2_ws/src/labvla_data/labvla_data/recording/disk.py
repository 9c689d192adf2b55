"""Keeps recordings from filling the disk."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from labvla_data.recording.incidents import Incident

MEGABYTE = 1_000_000
# Room to end a file on a disk that somebody else has filled: index and metadata of an hour.
RESERVE = 8 * MEGABYTE


def free_bytes(folder: Path) -> int:
    """Return how much room a folder has; none where it cannot be asked, or is gone."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0


class DiskGuard:
    """Says when there is too little room, and holds a little back for the worst case."""

    def __init__(self, folder: Path, floor: int, free: Callable[[Path], int] = free_bytes) -> None:
        """Guard a folder: below `floor` bytes nothing begins, below half of it nothing goes on."""
        self._folder = folder
        self._floor = floor
        self._free = free
        self._reserve = folder / ".reserve"

    @property
    def free(self) -> int:
        """Bytes that are free."""
        return self._free(self._folder)

    def may_begin(self) -> Incident | None:
        """Return why no episode may begin, if so."""
        return self._judge(self._floor, "no episode begins")

    def may_go_on(self) -> Incident | None:
        """Return why an episode has to end, if so."""
        return self._judge(self._floor // 2, "the episode was ended and kept")

    def reserve(self) -> None:
        """Hold room back."""
        descriptor = os.open(self._reserve, os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            os.posix_fallocate(descriptor, 0, RESERVE)
        finally:
            os.close(descriptor)

    def release(self) -> None:
        """Give the room back, for what must be written on a full disk."""
        with contextlib.suppress(OSError):
            self._reserve.unlink()

    def _judge(self, floor: int, consequence: str) -> Incident | None:
        free = self.free
        if free >= floor:
            return None
        return Incident(
            "disk_low",
            f"{self._folder} has {free / MEGABYTE:.0f} MB free, expected at least "
            f"{floor / MEGABYTE:.0f} MB: {consequence}. Make room, or lower `disk_floor`",
            subject=str(self._folder),
            value=free,
            limit=floor,
        )
