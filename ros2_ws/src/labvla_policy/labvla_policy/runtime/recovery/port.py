"""What passes between a recovery and a driver. Nothing here waits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from labvla_policy.runtime.recovery.state import Snapshot
from labvla_policy.runtime.report import Report


class RobotPort(Protocol):
    """The driver's face. All calls return at once."""

    def snapshot(self) -> Snapshot:
        """Tell what is known now."""
        ...

    def missing(self, call: str) -> str:
        """Return the name of what nobody offers and the call needs; empty if all is there."""
        ...

    def ask(self, call: str) -> int:
        """Send a request; return the ticket under which it is reported."""
        ...

    def poll(self) -> Sequence[Report]:
        """Return what was reported since the last call, in order."""
        ...
