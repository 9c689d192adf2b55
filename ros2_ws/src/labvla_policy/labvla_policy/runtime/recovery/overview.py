"""The robot as a whole, for whoever must not move it: one level, one reason, one line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from labvla_policy.runtime.diagnosis import Finding, Level
from labvla_policy.runtime.recovery.state import Halt, Snapshot

# What a person has to end comes first, since nothing else helps before it.
_ORDER = (
    Halt.EMERGENCY,
    Halt.FAULT,
    Halt.SAFEGUARD,
    Halt.BY_HAND,
    Halt.PROTECTIVE,
    Halt.SILENT,
    Halt.IDLE,
)


@dataclass(frozen=True)
class Overview:
    """Whether the robot can move, and what hinders it most."""

    halt: Halt | None
    subject: str  # arm or cell
    words: str


def overview(snapshots: Mapping[str, Snapshot]) -> Overview:
    """Sum up arms and controllers."""
    for halt in _ORDER:
        for name, seen in snapshots.items():
            if seen.halt is halt:
                return Overview(halt, name, seen.words)
    return Overview(None, "", "ready")


def finding(part: str, seen: Snapshot) -> Finding:
    """Say it for diagnostics: what is silent is stale, what cannot move is an error."""
    if seen.halt is None:
        return Finding(part, Level.OK, seen.words)
    level = Level.STALE if seen.halt is Halt.SILENT else Level.ERROR
    return Finding(part, level, f"{seen.halt.value}: {seen.words}")
