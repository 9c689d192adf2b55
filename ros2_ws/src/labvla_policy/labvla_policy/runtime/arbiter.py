"""The motion arbiter: at every moment at most one source of plans moves the arms.

A state machine without a clock; every call says what time it is (ns), and may come from any thread.

Whoever wants to move asks for a lease and shows it with every plan. A higher priority takes over at
once. What the former owner still has under way is turned away by its lease, and what the new owner
sends must have been made after it took over: nobody continues from a posture that the arms have
left. The gate then sees to it that the plan begins at the commanded state.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from labvla_policy.runtime.refusal import Refusal
from labvla_policy.runtime.types import NANOSECONDS


class Owner(IntEnum):
    """Sources of motion; a larger number goes first."""

    POLICY = 1
    MOVE_TO = 2  # a person asked for a posture, so the policy waits
    CORRECTION = 3  # a person corrects what is going on, whatever it is
    TELEOP = 4  # a person moves the arms by hand

    @property
    def label(self) -> str:
        """The owner's name in messages."""
        return self.name.lower()


_LEASES: Mapping[Owner, int] = {
    Owner.POLICY: 3 * NANOSECONDS,  # longer than an answer may take
    Owner.MOVE_TO: NANOSECONDS,
    Owner.CORRECTION: NANOSECONDS,
    Owner.TELEOP: NANOSECONDS // 2,  # a lost connection must not keep the arms for long
}


@dataclass(frozen=True)
class ArbiterSettings:
    """How long an owner may be silent before it loses the motion."""

    leases: Mapping[Owner, int] = field(default_factory=lambda: dict(_LEASES))


@dataclass(frozen=True)
class Lease:
    """The right to move the arms, until it is taken away or runs out."""

    owner: Owner
    number: int
    granted: int  # ns


class Arbiter:
    """Hands out the one lease that counts."""

    def __init__(self, settings: ArbiterSettings | None = None) -> None:
        self._settings = settings or ArbiterSettings()
        self._lease: Lease | None = None
        self._alive = 0  # when the owner last showed its lease
        self._numbers = 0
        self._stopped = False
        self._lock = threading.Lock()

    @property
    def stopped(self) -> bool:
        """Whether nobody may move until the stop is reset."""
        return self._stopped

    def owner(self, t: int) -> Owner | None:
        """Return who owns the motion; None after a time-out too."""
        with self._lock:
            lease = self._current(t)
            return lease.owner if lease else None

    def request(self, owner: Owner, t: int) -> Lease | Refusal:
        """Take over the motion, or learn why not. A new lease replaces the owner's old one."""
        with self._lock:
            if self._stopped:
                return Refusal("stopped", "the cell is stopped: reset the stop first", owner.label)
            current = self._current(t)
            if current is not None and current.owner > owner:
                return Refusal(
                    "motion_owned", f"{current.owner.label} moves the arms", current.owner.label
                )
            self._numbers += 1
            self._lease = Lease(owner, self._numbers, t)
            self._alive = t
            return self._lease

    def admit(self, lease: Lease, made_from: int, t: int) -> Refusal | None:
        """Judge a plan that was made from the state at `made_from`; None lets it through."""
        with self._lock:
            if self._stopped:
                return Refusal("stopped", "the cell is stopped: reset the stop first")
            current = self._current(t)
            if current is None or current != lease:
                holder = current.owner.label if current else "nobody"
                return Refusal(
                    "not_owner", f"{holder} owns the motion, not {lease.owner.label}", holder
                )
            if made_from < lease.granted:
                return Refusal(
                    "plan_before_handover",
                    f"made {(lease.granted - made_from) / NANOSECONDS:.3f} s before the hand-over",
                    lease.owner.label,
                )
            self._alive = t
            return None

    def keep(self, lease: Lease, t: int) -> bool:
        """Stay the owner without sending a plan; False if the lease is lost already."""
        with self._lock:
            if self._stopped or self._current(t) != lease:
                return False
            self._alive = t
            return True

    def release(self, lease: Lease) -> None:
        """Give the motion back; a lease that was taken away already is ignored."""
        with self._lock:
            if self._lease == lease:
                self._lease = None

    def stop(self) -> None:
        """Take every lease away and hand out none until the stop is reset."""
        with self._lock:
            self._lease = None
            self._stopped = True

    def reset_stop(self) -> None:
        """Allow motion again; whoever wants to move has to ask."""
        with self._lock:
            self._stopped = False

    def _current(self, t: int) -> Lease | None:
        lease = self._lease
        if lease is not None and not 0 <= t - self._alive <= self._settings.leases[lease.owner]:
            self._lease = None  # silent for too long, or the clock went back
        return self._lease
