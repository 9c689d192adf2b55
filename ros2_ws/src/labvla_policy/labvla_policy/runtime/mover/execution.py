"""Carries one move_to out, piece by piece: what to send next, and how it ended.

Without threads and clocks: whoever steps it says what time it is, and sends what it returns. It
waits until the arms stand, plans from there, and sends overlapping pieces of the motion. If nobody
steps it any more, the controller stops the arms at the end of the last piece.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from math import nan

import numpy as np

from labvla_policy.runtime.arbiter import Arbiter, Lease
from labvla_policy.runtime.gate import rules
from labvla_policy.runtime.gate.rules import Limits, RuleSettings, Situation
from labvla_policy.runtime.mover.move_to import Motion
from labvla_policy.runtime.reference import Mode, Reference
from labvla_policy.runtime.refusal import Refusal, Refused
from labvla_policy.runtime.types import NANOSECONDS, Prediction


@dataclass(frozen=True)
class ExecutionSettings:
    """How a motion is sent."""

    horizon: float = 0.8  # s in a piece: longer than a stop, so that the controller never hurries
    interval: float = 0.1  # s between pieces
    handover: float = 0.1  # s that a plan may be on its way to the controller
    rest: float = 3.0  # s that the arms have to come to rest: longer than a plan and its stop
    settle: float = 2.0  # s after the end of the motion for the arms to arrive
    at_rest: float = 1e-3  # rad/s, of the reference
    tolerance: float = 0.05  # rad from the goal, measured: what compliance may leave
    newer: float = 1.25  # intervals that the controller waits for a newer piece before it stops


class Outcome(Enum):
    """How a motion ended."""

    REACHED = "reached"
    CANCELED = "canceled"
    FAILED = "failed"


@dataclass(frozen=True)
class Ended:
    """The end of a motion."""

    outcome: Outcome
    refusal: Refusal | None = None  # why it failed
    error: float = nan  # rad, largest distance of a measured joint from the goal


class Execution:
    """One motion from the request to its end. Used by one thread; `cancel` may come from any."""

    def __init__(
        self,
        plan: Callable[[Situation], Motion],
        limits: Limits,
        arbiter: Arbiter,
        lease: Lease,
        settings: ExecutionSettings | None = None,
    ) -> None:
        self._plan, self._limits = plan, limits
        self._arbiter, self._lease = arbiter, lease
        self._settings = settings or ExecutionSettings()
        self._rules = RuleSettings()
        self._motion: Motion | None = None
        self._begun = False
        self._cancel = False
        self._braked: int | None = None  # ns, when the last piece was sent
        self._last_step = lease.granted
        self._next_piece = 0

    def cancel(self) -> None:
        """End the motion early: the arms come to a smooth stop on their way."""
        self._cancel = True

    def progress(self, t: int) -> float:
        """Return the part of the way's time that is over, 0 to 1."""
        return self._motion.progress(t) if self._motion and self._begun else 0.0

    def remaining(self, t: int) -> float:
        """Return how long the motion still takes (s); NaN before it is planned."""
        return self._motion.duration * (1.0 - self.progress(t)) if self._motion else nan

    def step(self, t: int, reference: Reference | None) -> Prediction | Ended | None:
        """Return what to send now, how the motion ended, or nothing for the moment."""
        try:
            return self._step(t, reference)
        except Refused as refused:
            return self._ended(Outcome.FAILED, reference, refused.refusal)

    def _step(self, t: int, reference: Reference | None) -> Prediction | Ended | None:
        now = self._alive(t, reference)
        if self._motion is None:
            if self._cancel:
                return self._ended(Outcome.CANCELED, now)
            if self._stands(now, self._lease.granted):
                self._motion = self._plan(Situation(t, now.positions, now.velocities))
            elif t - self._lease.granted > self._settings.rest * NANOSECONDS:
                speed, limit = float(np.max(np.abs(now.velocities))), self._settings.at_rest
                raise _refused(
                    "not_at_rest",
                    f"the controller is in {now.mode.value} at {speed:.3f} rad/s after "
                    f"{self._settings.rest:g} s",
                    speed,
                    limit,
                )
            return None
        if not self._begun:  # planning took a while
            self._motion = replace(self._motion, begin=t)
            self._begun = True
        self._follow_speed(t, now)
        if self._cancel:
            return self._brake(t, now)
        if t >= self._end:
            ended = self._arrived(t, now)
            if ended is not None:
                return ended
        return self._piece(t, now) if t >= self._next_piece else None

    def _alive(self, t: int, reference: Reference | None) -> Reference:
        """Return the controller's state if this motion may go on."""
        if refusal := self._arbiter.admit(self._lease, t, t):
            raise Refused(refusal)
        if reference is None:
            raise _refused("controller_silent", "no state within the last 0.25 s")
        if reference.mode is Mode.STOPPED:
            raise _refused("stopped", "the controller is stopped: reset the stop first")
        if reference.mode is Mode.PAUSED:
            raise _refused("controller_paused", "expected a controller that accepts plans")
        if reference.mode is Mode.FAULT:
            raise _refused("controller_fault", "expected a controller that accepts plans")
        return reference

    def _stands(self, now: Reference, sent: int) -> bool:
        """Whether the arms stand, and nothing that was sent until `sent` will still move them."""
        heard = now.stamp - sent >= self._settings.handover * NANOSECONDS
        return heard and now.mode is Mode.HOLD and self._is_slow(now)

    def _is_slow(self, now: Reference) -> bool:
        return bool(np.all(np.abs(now.velocities) <= self._settings.at_rest))

    def _follow_speed(self, t: int, now: Reference) -> None:
        """Delay the rest of the motion by what a slowed robot did not do of it."""
        assert self._motion is not None
        lost = (t - max(self._last_step, self._motion.begin)) * (1.0 - now.speed_scaling)
        self._motion = replace(self._motion, begin=self._motion.begin + max(0, round(lost)))
        self._last_step = t

    @property
    def _end(self) -> int:
        assert self._motion is not None
        return self._motion.begin + round(self._motion.duration * NANOSECONDS)

    def _piece(self, t: int, now: Reference) -> Prediction:
        assert self._motion is not None
        self._next_piece = t + round(self._settings.interval * NANOSECONDS)
        return self._admitted(t, now, self._settings.horizon)

    def _brake(self, t: int, now: Reference) -> Prediction | Ended | None:
        """Send a last piece on whose end the controller can stand, and wait until it does."""
        if self._braked is None:
            self._braked = t
            limits = self._limits
            stop = np.abs(now.velocities) / limits.acceleration + limits.acceleration / limits.jerk
            waits = self._settings.newer * self._settings.interval
            return self._admitted(t, now, waits + float(np.max(stop)))
        if self._stands(now, self._braked):
            return self._ended(Outcome.CANCELED, now)
        return None

    def _admitted(self, t: int, now: Reference, seconds: float) -> Prediction:
        """Return the next rows. Their way was checked; new is only where the arms are by now."""
        assert self._motion is not None
        rows = max(2, round(seconds / self._motion.dt))
        piece = self._motion.chunk(t, rows)
        ahead = (piece.times - t) / NANOSECONDS
        situation = Situation(t, now.positions, now.velocities)
        refusal = rules.first_row_jump(
            piece.joint_targets, ahead, situation, self._limits, self._rules
        ) or self._arbiter.admit(self._lease, now.stamp, t)
        if refusal is not None:
            raise Refused(refusal)
        return piece

    def _arrived(self, t: int, now: Reference) -> Ended | None:
        assert self._motion is not None
        error = self._error(now)
        if self._is_slow(now) and error <= self._settings.tolerance:
            return self._ended(Outcome.REACHED, now)
        if t - self._end > self._settings.settle * NANOSECONDS:
            raise _refused(
                "not_reached",
                f"{error:.3f} rad from the goal, expected at most {self._settings.tolerance:g}",
                error,
                self._settings.tolerance,
            )
        return None

    def _error(self, now: Reference | None) -> float:
        if now is None or self._motion is None:
            return nan
        at = now.positions if now.measured is None else now.measured
        return float(np.max(np.abs(at - self._motion.goal)))

    def _ended(
        self, outcome: Outcome, reference: Reference | None, refusal: Refusal | None = None
    ) -> Ended:
        self._arbiter.release(self._lease)
        return Ended(outcome, refusal, self._error(reference))


def _refused(reason: str, detail: str, value: float = nan, limit: float = nan) -> Refused:
    return Refused(Refusal(reason, detail, "", value, limit))
