"""How writing and reading of datasets fails."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class DatasetError(Exception):
    """A dataset cannot be written or read; the text says why and what to do."""


class NoRoomError(DatasetError):
    """The disk is full, or a quota is used up."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the system says about a write into an error that names the file."""
    try:
        yield
    except OSError as error:  # PyAV's and Arrow's errors are OSErrors too
        if error.errno in _NO_ROOM:
            raise NoRoomError(
                f"no room left on the disk while writing {path}: nothing half-written stands "
                "under a final name; make room and run it again"
            ) from None
        raise DatasetError(f"{path}: cannot be written: {error}") from None
