"""Which payload a robot has to be told, and when."""

from __future__ import annotations

from labvla_policy.runtime.cell.arm import Payload
from labvla_policy.runtime.types import NANOSECONDS

PATIENCE = 2.0  # s for an answer, and between two attempts


class PayloadKeeper:
    """Keeps one arm's payload right: the empty tool's, or with what is held. Times are ns.

    Whoever stops a robot may also have restarted it: after a halt it is told again.
    """

    def __init__(self, empty: Payload, held: Payload | None) -> None:
        self._empty, self._held = empty, held
        self._holds = False
        self._told: Payload | None = None
        self._asked: Payload | None = None
        self._not_before = 0

    def grip(self, holds: bool) -> None:
        """Note whether something is between the fingers."""
        self._holds = holds

    def due(self, halted: bool, t: int) -> Payload | None:
        """Return what the driver has to be told now, if anything."""
        if halted:
            self._told, self._not_before = None, 0
            return None
        wanted = self._held if self._holds and self._held is not None else self._empty
        if wanted == self._told or t < self._not_before:
            return None
        self._asked, self._not_before = wanted, t + round(PATIENCE * NANOSECONDS)
        return wanted

    def answered(self, done: bool) -> None:
        """Note whether the driver took it; if not, it is told again."""
        if done:
            self._told = self._asked
