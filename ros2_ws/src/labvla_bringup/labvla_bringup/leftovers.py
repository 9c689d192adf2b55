"""What a stack may leave behind: processes, bound ports, the middleware's shared memory."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path

_PORTS = 250  # of a ROS domain
_FIRST_PORT = 7400
_YOUNG = 5.0  # s
_NUMBER = "[0-9a-f]" * 16


def processes(variable: str, value: str) -> dict[int, str]:
    """Return the command lines of all processes that have this in their environment."""
    mark = f"{variable}={value}".encode()
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                command = (folder / "cmdline").read_bytes().decode(errors="replace")
                found[int(folder.name)] = command.replace("\0", " ").strip()
    return found


def children(parent: int) -> dict[int, str]:
    """Return the command lines of a process's children."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == parent:
                command = (folder / "cmdline").read_bytes().decode(errors="replace")
                found[int(folder.name)] = command.replace("\0", " ").strip()
    return found


def ports(domain: int) -> set[int]:
    """Return the ports of a ROS domain that somebody on this machine has bound."""
    first = _FIRST_PORT + _PORTS * domain
    tables = [Path(f"/proc/net/{kind}").read_text() for kind in ("udp", "tcp")]
    lines = [line.split() for table in tables for line in table.splitlines()[1:]]
    bound = {int(fields[1].rpartition(":")[2], 16) for fields in lines}
    return {port for port in bound if first <= port < first + _PORTS}


def abandoned_memory() -> set[Path]:
    """Return the middleware's shared memory whose owner was killed: nobody will ever use it again.

    Its ports are not in it: they are few, and whoever comes next takes them over.
    """
    now = time.time()
    found: set[Path] = set()
    for lock in Path("/dev/shm").glob(f"fastdds_{_NUMBER}_el"):
        with contextlib.suppress(OSError):
            # What is being made at this moment is not locked yet.
            if now - lock.stat().st_mtime > _YOUNG and _is_free(lock):
                segment = lock.with_name(lock.name.removesuffix("_el"))
                found |= {lock, segment}
    return {file for file in found if file.exists()}


def remove_abandoned_memory() -> int:
    """Give the memory of killed processes back; return how many bytes that were."""
    freed = 0
    for file in abandoned_memory():
        with contextlib.suppress(OSError):
            freed += file.stat().st_size
            file.unlink()
    return freed


def _is_free(lock: Path) -> bool:
    """Tell whether nobody holds a lock; its owner holds it until the end."""
    descriptor = os.open(lock, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True
