"""One gripper: from the target that counts to goals of its driver, and what became of them.

Never waits, and never moves the fingers but for a target that asks for it. A grasp is kept through
every stop, silence and fault, and released only by a target that is clearly wider than what is
held, or fully open. A goal in the other direction pre-empts the one under way; one in the same
direction waits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from labvla_policy.runtime.cell.arm import Gripper
from labvla_policy.runtime.gripping.demand import Demand, DemandSettings
from labvla_policy.runtime.gripping.port import Goal, GripperPort
from labvla_policy.runtime.refusal import Refusal
from labvla_policy.runtime.report import Report
from labvla_policy.runtime.types import NANOSECONDS


@dataclass(frozen=True)
class DriverSettings:
    """How patient the bridge is, and what it takes for a grasp."""

    demand: DemandSettings = field(default_factory=DemandSettings)
    release: float = 0.010  # m beyond what is held, before a target means to let go
    held: float = 0.002  # m wider than asked for: something is between the fingers
    travelled: float = 0.001  # m; less is standing still
    judging: float = 0.2  # s after a result: drivers tell the opening at 15 Hz
    answer: float = 1.0  # s for the driver to accept a goal
    slack: float = 2.0  # s beyond the fingers' own time for a goal to end
    slower: float = 1.5  # times longer than the nominal speed says
    giving_up: float = 1.0  # s for a canceled goal to end, before the fingers are interrupted
    retries: int = 2
    retry_pause: float = 0.5  # s
    absent_pause: float = 2.0  # s between two looks whether somebody offers the interface


class Grip(Enum):
    """What the fingers do, as far as is known."""

    UNKNOWN = "unknown"
    MOVING = "moving"
    OPEN = "open"  # where the last opening ended
    CLOSED = "closed"  # closed as far as asked for, nothing between the fingers
    GRASPED = "grasped"
    FAILED = "failed"  # the driver did not do it, retries included


class Reports(Protocol):
    """Who hears of what went wrong."""

    def refused(self, refusal: Refusal, t: int) -> None:
        """Something was not done."""
        ...


@dataclass
class Counters:
    """What was done since the start."""

    goals: int = 0
    preempted: int = 0
    retried: int = 0
    failed: int = 0
    results_lost: int = 0  # judged by the fingers, since the driver never said


@dataclass
class _Running:
    """The goal that the driver works on."""

    ticket: int
    goal: Goal
    sent: int  # ns
    start: float | None  # m, opening when it was sent
    accepted: bool = False
    canceled: int | None = None  # ns
    interrupted: bool = False
    ended: int | None = None  # ns, when its result came
    succeeded: bool = False
    detail: str = ""


class GripperDriver:
    """Drives one gripper; for one thread. `step` it at 20 Hz or more; times are steady ns."""

    def __init__(
        self,
        name: str,
        gripper: Gripper,
        port: GripperPort,
        reports: Reports,
        settings: DriverSettings | None = None,
    ) -> None:
        self._name, self._gripper, self._port, self._reports = name, gripper, port, reports
        self._settings = settings or DriverSettings()
        self._demand = Demand(self._settings.demand)
        self._running: _Running | None = None
        self._target: float | None = None  # m, the last one that counted
        self._pending = False  # it has still to be reached
        self._attempts = 0
        self._not_before = 0
        self._opening: float | None = None
        self.grip = Grip.UNKNOWN
        self.counters = Counters()

    @property
    def opening(self) -> float | None:
        """How far the fingers are open (m), as last told."""
        return self._opening

    def hear(self, target: float, holding: bool, t: int) -> None:
        """Note a set-point of the controller (m); NaN stands for none."""
        if not math.isnan(target):
            self._demand.hear(min(max(target, 0.0), self._gripper.stroke), holding, t)

    def feel(self, opening: float) -> None:
        """Note how far the fingers are open (m)."""
        self._opening = opening

    def step(self, t: int) -> None:
        """Take what the driver reports, and send or cancel what is due."""
        for report in self._port.poll():
            self._take(report, t)
        if self._running is not None:
            self._watch(self._running, t)
        target = self._demand.settled(t)
        if target is None:
            return  # nothing counts: whatever the fingers hold stays held
        deadband = self._settings.demand.deadband
        if self._target is None or abs(target - self._target) > deadband:
            self._target, self._pending, self._attempts = target, True, 0
        if self._pending and t >= self._not_before:
            self._pursue(self._target, t)

    # What the fingers should do

    def _pursue(self, target: float, t: int) -> None:
        running = self._running
        if running is None:
            if self._needs_motion(target):
                self._send(self._goal(target), t)
            else:
                self._pending = False
        elif self._turns_round(running.goal, target):
            self._preempt(running, t)

    def _turns_round(self, goal: Goal, target: float) -> bool:
        """Whether a goal leads away from the target; one that is further on the way waits."""
        if target == goal.opening:
            return False
        deadband = self._settings.demand.deadband
        here = goal.opening if self._opening is None else self._opening
        return target >= here - deadband if goal.kind == "close" else target <= here + deadband

    def _needs_motion(self, target: float) -> bool:
        if self._opening is None or self._attempts > 0:
            return True
        deadband = self._settings.demand.deadband
        if self.grip is Grip.GRASPED:
            # Fully open always means to let go: what is nearly as wide as the hand has to come off.
            widest = self._gripper.stroke - deadband
            return target > min(self._opening + self._settings.release, widest)
        return abs(target - self._opening) > deadband

    def _goal(self, target: float) -> Goal:
        gripper = self._gripper
        here = gripper.stroke / 2 if self._opening is None else self._opening
        opens = target > here
        return Goal("open" if opens else "close", target, gripper.speed, gripper.force)

    def _send(self, goal: Goal, t: int) -> None:
        if not self._port.ready():
            self._not_before = t + round(self._settings.absent_pause * NANOSECONDS)
            self._refuse("gripper_missing", f"nobody offers {self._gripper.action}", t)
            return
        self._running = _Running(self._port.send(goal), goal, t, self._opening)
        self.grip = Grip.MOVING
        self.counters.goals += 1

    def _preempt(self, running: _Running, t: int) -> None:
        if running.ended is not None:
            self._forget()
        elif running.canceled is None:
            self.counters.preempted += 1
            self._cancel(running, t)

    # What the driver does

    def _take(self, report: Report, t: int) -> None:
        running = self._running
        if running is None or report.ticket != running.ticket or running.ended is not None:
            return  # of a goal that was given up
        if report.what == "accepted":
            running.accepted = True
        elif running.canceled is not None:
            self._forget()
        elif report.what == "rejected":
            self._fail("gripper_refused", f"the driver rejected to {_words(running.goal)}", t)
        else:
            running.ended, running.succeeded = t, report.what == "succeeded"
            running.detail = report.detail or report.what

    def _watch(self, running: _Running, t: int) -> None:
        """Do not wait for ever: not for an acceptance, a result, or a cancellation."""
        settings = self._settings
        since_sent = t - running.sent
        if running.ended is not None:
            if t - running.ended >= settings.judging * NANOSECONDS:
                self._judge(running, t)
        elif running.canceled is not None:
            self._watch_cancellation(running, running.canceled, t)
        elif not running.accepted and since_sent > settings.answer * NANOSECONDS:
            self._cancel(running, t)
            self._fail("gripper_silent", f"the driver did not answer to {_words(running.goal)}", t)
        elif since_sent > self._patience(running) * NANOSECONDS:
            self._cancel(running, t)
            if self._arrived(running):
                self.counters.results_lost += 1
                running.succeeded = True
                self._judge(running, t)
            else:
                self._port.interrupt()
                self._fail("gripper_hung", f"no result of: {_words(running.goal)}", t)

    def _watch_cancellation(self, running: _Running, canceled: int, t: int) -> None:
        if t - canceled <= self._settings.giving_up * NANOSECONDS:
            return
        if running.interrupted:
            self._fail("gripper_hung", "a canceled goal does not end", t)
        else:
            running.interrupted, running.canceled = True, t
            self._port.interrupt()

    def _patience(self, running: _Running) -> float:
        start = self._gripper.stroke if running.start is None else running.start
        way = max(abs(start - running.goal.opening), self._gripper.stroke / 4)
        return self._settings.slower * way / running.goal.speed + self._settings.slack

    def _judge(self, running: _Running, t: int) -> None:
        """Say what came of a goal. Drivers call a stall on an object a failure; fingers know."""
        if not running.succeeded and not self._arrived(running):
            self._fail("gripper_failed", f"{_words(running.goal)}: {running.detail}", t)
            return
        self._running, self._attempts = None, 0
        self._pending = running.goal.opening != self._target
        if running.goal.kind == "open":
            self.grip = Grip.OPEN
        elif self._opening is None:
            self.grip = Grip.UNKNOWN
        else:
            wider = self._opening - running.goal.opening > self._settings.held
            self.grip = Grip.GRASPED if wider else Grip.CLOSED

    def _arrived(self, running: _Running) -> bool:
        """Whether the fingers have done what the goal asks for, whatever the driver says."""
        if self._opening is None:
            return False
        if running.goal.kind == "open":
            return self._opening >= running.goal.opening - self._settings.demand.deadband
        near = self._opening <= running.goal.opening + self._settings.held
        start = self._opening if running.start is None else running.start
        return near or start - self._opening > self._settings.travelled

    def _cancel(self, running: _Running, t: int) -> None:
        running.canceled = t
        self._port.cancel(running.ticket)

    def _forget(self) -> None:
        self._running, self.grip = None, Grip.UNKNOWN

    def _fail(self, reason: str, detail: str, t: int) -> None:
        """Try again after a pause, or give the target up."""
        self._forget()
        self._attempts += 1
        self._not_before = t + round(self._settings.retry_pause * NANOSECONDS)
        if self._attempts <= self._settings.retries:
            self.counters.retried += 1
            again = f"; tried again ({self._attempts} of {self._settings.retries})"
        else:
            self._pending, self.grip = False, Grip.FAILED
            self.counters.failed += 1
            again = "; given up until another target comes"
        self._refuse(reason, detail + again, t)

    def _refuse(self, reason: str, detail: str, t: int) -> None:
        self._reports.refused(Refusal(reason, detail, self._name), t)


def _words(goal: Goal) -> str:
    return f"{goal.kind} to {goal.opening * 1000:.0f} mm"
