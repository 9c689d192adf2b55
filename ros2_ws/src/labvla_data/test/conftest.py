"""A disk of a few kB, for those who want to see it full."""

import ctypes
import os
from contextlib import contextmanager

import pytest

_REMOUNT, _DETACH = 32, 2


@pytest.fixture
def small_disk():
    """Return a context manager: a disk of so many kB in a folder, and how to make it larger.

    Skips the test where nobody may mount one.
    """
    libc = ctypes.CDLL(None, use_errno=True)

    def mount(folder, size, flags):
        options = f"size={size}k".encode()
        return libc.mount(b"none", bytes(folder), b"tmpfs", flags, options) == 0

    @contextmanager
    def mounted(folder, size):
        folder.mkdir(exist_ok=True)
        if not mount(folder, size, 0):
            pytest.skip(f"mounting a small disk: {os.strerror(ctypes.get_errno())}")
        try:
            yield lambda larger: mount(folder, larger, _REMOUNT)
        finally:
            libc.umount2(bytes(folder), _DETACH)

    return mounted
