"""One teleoperation from taking the motion over to giving it back.

Without threads and clocks, like a move_to: whoever steps it says what time it is, and sends what it
returns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from itertools import pairwise

import numpy as np

from labvla_policy.runtime.arbiter import Arbiter, Lease
from labvla_policy.runtime.cell import Cell
from labvla_policy.runtime.gate.gate import Gate
from labvla_policy.runtime.gate.rules import Limits, Situation
from labvla_policy.runtime.reference import Mode, Reference
from labvla_policy.runtime.refusal import Refusal
from labvla_policy.runtime.teleop.jog import Jog
from labvla_policy.runtime.teleop.motion import JogMotion, MotionSettings
from labvla_policy.runtime.teleop.servo import JointMotion, Servo
from labvla_policy.runtime.types import NANOSECONDS, Array, Prediction


@dataclass(frozen=True)
class SessionSettings:
    """When a device counts as silent or gone, and how its wish is fitted into what is free."""

    dead_man: float = 0.2  # s that a wish is valid
    gone: float = 1.0  # s without a word after which nobody owns the motion any more
    same_way: float = 0.95  # cosine; a stick is never quite still
    slowest: float = 1 / 16  # of the wish, at which an obstacle is approached
    astray: float = 0.03  # rad between plan and reference, from which a piece begins anew
    noticeable: float = 0.5  # of the wish; what the arm itself slows further is told
    motion: MotionSettings = field(default_factory=MotionSettings)


@dataclass(frozen=True)
class Command:
    """All that the person wants at a moment."""

    jog: Jog | None
    openings: Mapping[str, float] = field(default_factory=dict)  # m by gripper
    hand_back: bool = False


class Outcome(Enum):
    """How a session ended."""

    HANDED_BACK = "handed back"
    GONE = "gone"
    FAILED = "failed"


@dataclass(frozen=True)
class Ended:
    """The end of a session."""

    outcome: Outcome
    refusal: Refusal | None = None


@dataclass(frozen=True, eq=False)
class Step:
    """What to send, and what kept it from being all that was asked for."""

    plan: Prediction | None = None
    limited: Refusal | None = None  # slower than asked
    refused: Refusal | None = None  # not at all; the last piece goes on to its stop
    silent: Refusal | None = None  # the device said nothing while the arm was moving


class Session:
    """Steps from take-over to hand-back. Used by one thread."""

    def __init__(
        self,
        cell: Cell,
        gate: Gate,
        arbiter: Arbiter,
        lease: Lease,
        settings: SessionSettings | None = None,
    ) -> None:
        self._cell, self._gate = cell, gate
        self._arbiter, self._lease = arbiter, lease
        self._settings = settings or SessionSettings()
        self._motion = JogMotion(cell.joints, Limits.of_cell(cell), self._settings.motion)
        self._servos = [Servo(arm) for arm in cell.arms]
        ends = np.cumsum([0, *(len(arm.joints) for arm in cell.arms)])
        self._columns = [slice(int(a), int(b)) for a, b in pairwise(ends)]
        self._openings: Mapping[str, float] = {}
        self._until = 0  # ns, how long the wish in the last piece is valid
        self._in_charge = False  # the arms do what this session has sent, or stand
        self._was_silent = False
        self._scale = 1.0  # of the wish that the gate may have nothing against
        self._direction = np.zeros(6)

    def step(self, t: int, reference: Reference | None, command: Command) -> Step | Ended:
        """Return what to send now, or how the session ended."""
        granted = self._lease.granted
        heard = max(granted, command.jog.arrived) if command.jog else granted
        ended = self._why_over(t, reference, heard, command)
        if ended is not None:
            self._arbiter.release(self._lease)
            return ended
        if reference is None or reference.stamp < self._lease.granted:
            return Step()  # what the controller does since the take-over is not known yet
        silent = self._notice_silence(t, heard, command)
        self._in_charge = self._in_charge or reference.at_rest
        if not self._due(t, command):
            return Step(silent=silent)
        return self._moved(t, reference, command, silent)

    def _why_over(
        self, t: int, reference: Reference | None, heard: int, command: Command
    ) -> Ended | None:
        if refusal := self._arbiter.admit(self._lease, t, t):
            return Ended(Outcome.FAILED, refusal)
        if reference is None:
            if t - self._lease.granted < self._settings.gone * NANOSECONDS:
                return None
            return _failed("controller_silent", "no state within the last 0.25 s")
        if reference.mode is Mode.STOPPED:
            return _failed("stopped", "the controller is stopped: reset the stop first")
        if reference.mode is Mode.PAUSED:
            return _failed("controller_paused", "expected a controller that accepts plans")
        if reference.mode is Mode.FAULT:
            return _failed("controller_fault", "expected a controller that accepts plans")
        standing = not self._motion.moving(t) and reference.at_rest
        if command.hand_back and standing:
            return Ended(Outcome.HANDED_BACK)
        if t - heard > self._settings.gone * NANOSECONDS and standing:
            return Ended(
                Outcome.GONE,
                Refusal("teleop_gone", f"no word from the device for {self._settings.gone:g} s"),
            )
        return None

    def _notice_silence(self, t: int, heard: int, command: Command) -> Refusal | None:
        """Return an event when the device falls silent with its stick deflected."""
        late = t - heard > self._settings.dead_man * NANOSECONDS
        jog = command.jog
        deflected = jog is not None and jog.deflected and jog.arrived == heard
        news = late and deflected and not self._was_silent
        self._was_silent = late
        if not news:
            return None
        return Refusal(
            "jog_silent",
            f"no word for {self._settings.dead_man:g} s while moving: the arm comes to a stop",
        )

    def _due(self, t: int, command: Command) -> bool:
        """Whether a piece is wanted: a wish is valid, or one that was sent is over before time.

        A take-over without a wish is one, too: what the former owner sent comes to a stop.
        """
        wished = self._valid_until(command) > t
        over = self._until > t or not self._in_charge
        return wished or over or command.openings != self._openings

    def _valid_until(self, command: Command) -> int:
        """Return until when the device's wish moves the arm (ns); 0 where it does not."""
        jog = command.jog
        if jog is None or not jog.deflected or command.hand_back:
            return 0
        return jog.arrived + round(self._settings.dead_man * NANOSECONDS)

    def _moved(
        self, t: int, reference: Reference, command: Command, silent: Refusal | None
    ) -> Step:
        planned = self._motion.planned(reference.stamp)
        if planned is not None and self._is_astray(planned, reference):
            self._motion.forget()
        until = self._valid_until(command)
        situation = Situation(t, reference.positions, reference.velocities, returning=True)
        why: Refusal | None = None
        for scale in self._scales(until, command):
            wish = partial(self._wish, jog=command.jog, scale=scale)
            piece = self._motion.continued(t, reference, until, wish)
            plan = self._motion.plan(piece, command.openings)
            verdict = self._gate.check(plan, situation)
            if verdict.plan is not None and verdict.scale == 1.0:
                self._motion.sent(piece)
                self._until, self._openings = until, command.openings
                self._in_charge = True
                if scale == 0.0:
                    return Step(plan, refused=why, silent=silent)
                self._scale = min(1.0, 2 * scale)
                return Step(plan, why or self._slowed(reference, command), silent=silent)
            why = why or verdict.refusal
            self._scale = max(self._settings.slowest, scale / 2)
        return Step(refused=why, silent=silent)

    def _scales(self, until: int, command: Command) -> tuple[float, ...]:
        """Return which parts of the wish are tried: few, since a check near a contact is long.

        Where none is free there is nothing to send: the last piece goes on to its own stop. Only
        fingers must not wait for that.
        """
        if not until or command.jog is None:
            return (0.0,)
        direction = command.jog.twist / np.linalg.norm(command.jog.twist)
        if direction @ self._direction < self._settings.same_way:
            self._scale, self._direction = 1.0, direction
        tried = {self._scale, max(self._settings.slowest, self._scale / 2)}
        stop = (0.0,) if command.openings != self._openings else ()
        return (*sorted(tried, reverse=True), *stop)

    def _wish(self, q: Array, jog: Jog | None, scale: float) -> Array:
        wished = np.zeros_like(q)
        if jog is not None and scale:
            columns = self._columns[jog.arm]
            wished[columns] = self._shared_out(q, jog).velocities * scale
        return wished

    def _shared_out(self, q: Array, jog: Jog) -> JointMotion:
        return self._servos[jog.arm].velocities(q[self._columns[jog.arm]], jog.twist, jog.frame)

    def _slowed(self, reference: Reference, command: Command) -> Refusal | None:
        """Return an event where the arm itself keeps the tool from going as fast as asked."""
        jog = command.jog
        if jog is None or not jog.deflected:
            return None
        motion = self._shared_out(reference.positions, jog)
        if motion.scale >= self._settings.noticeable:
            return None
        joint = self._cell.arms[jog.arm].joints[motion.decides]
        return Refusal(
            "jog_limited",
            f"at {motion.scale:.0%} of what was asked for: {joint} is near the end of its range, "
            "or the arm is nearly stretched out",
            joint,
            motion.scale,
            1.0,
        )

    def _is_astray(self, planned: Array, reference: Reference) -> bool:
        distance = float(np.max(np.abs(planned - reference.positions)))
        return distance > self._settings.astray


def _failed(reason: str, detail: str) -> Ended:
    return Ended(Outcome.FAILED, Refusal(reason, detail))
