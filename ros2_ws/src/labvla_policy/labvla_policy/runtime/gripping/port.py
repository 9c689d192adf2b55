"""What passes between the bridge and a gripper's driver, whoever made it.

A driver takes one goal at a time and needs as long as the fingers do. Nothing here waits: goals are
sent, and what became of them is asked for later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from labvla_policy.runtime.report import Report


@dataclass(frozen=True)
class Goal:
    """What the fingers shall do."""

    kind: Literal["open", "close"]  # close: until something resists, then hold it with the force
    opening: float  # m between the fingers
    speed: float  # m/s
    force: float  # N


class GripperPort(Protocol):
    """The driver's face. All calls return at once."""

    def ready(self) -> bool:
        """Whether somebody offers the driver's interface."""
        ...

    def send(self, goal: Goal) -> int:
        """Send a goal; return the ticket under which it is reported."""
        ...

    def cancel(self, ticket: int) -> None:
        """Ask the driver to give a goal up."""
        ...

    def interrupt(self) -> None:
        """Stop the fingers by whatever else the driver offers; nothing where it offers nothing."""
        ...

    def poll(self) -> Sequence[Report]:
        """Return what was reported since the last call, in order."""
        ...
