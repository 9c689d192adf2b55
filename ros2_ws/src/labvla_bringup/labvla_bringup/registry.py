"""Which stack is up: one file per user and ROS domain, by which commands find the supervisor."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass
class ProcessRecord:
    """What others may know of a process of the stack."""

    name: str
    state: str  # starting | ready | restarting | ended
    pid: int | None = None
    restarts: int = 0
    exit_code: int | None = None


@dataclass
class StackRecord:
    """What others may know of the stack that is up."""

    state: str  # starting | up | stopping
    cell: str
    engine: str
    namespace: str
    supervisor: int
    supervisor_start: str  # a process id is used again; with its start time it is unique
    log_dir: str
    processes: list[ProcessRecord]


HIGHEST_DOMAIN = 101  # above it, DDS ports collide with those that Linux hands out by itself


def domain() -> int:
    """Return the ROS domain in use."""
    return int(os.environ.get("ROS_DOMAIN_ID") or 0)


def record_path() -> Path:
    """Return the file that describes the stack of this user and domain."""
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    return Path(base) / f"labvla-{os.getuid()}" / f"stack-{domain()}.json"


def start_time(pid: int) -> str | None:
    """Return the kernel's start time of a process, or None when it has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    ended = fields[0] == "Z"  # but its parent has not asked for its exit code yet
    return None if ended else fields[19]


def publish(record: StackRecord) -> None:
    """Write the record; readers see the old or the new one, never half of it."""
    path = record_path()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.parent.stat().st_uid != os.getuid():
        raise PermissionError(f"{path.parent} belongs to another user")
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.write_text(json.dumps(asdict(record), indent=2))
    fresh.replace(path)


def withdraw() -> None:
    """Remove the record."""
    record_path().unlink(missing_ok=True)


def current() -> StackRecord | None:
    """Return the stack that is up, or None; a record whose supervisor is gone does not count."""
    try:
        data: dict[str, Any] = json.loads(record_path().read_text())
        record = StackRecord(
            **{**data, "processes": [ProcessRecord(**p) for p in data["processes"]]}
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return record if start_time(record.supervisor) == record.supervisor_start else None
