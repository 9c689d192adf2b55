"""The bridge to a controller that does not eat chunks: what our own controller says and does.

Plans come in, one trajectory at a time goes out. It is never longer than what may be executed
blindly and ends at rest, so that neither a policy nor a bridge that dies leaves the arm moving (as
far as the controller behind keeps its side: see the adapters). Limits are not kept here: the gate
has checked the rows, and nobody checks what is between a reference and a plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from math import nan
from typing import Protocol

import numpy as np

from labvla_policy.runtime.adapters.trajectory import (
    Reference,
    Shaping,
    Trajectory,
    TrajectoryRefused,
    brake,
    stop_along,
    trajectory_from_plan,
)
from labvla_policy.runtime.reference import Mode
from labvla_policy.runtime.types import NANOSECONDS, Array, Prediction

BLIND_LIMIT = 0.5  # s of a plan that are executed when nothing newer comes, as in our controller
CLOCK_TOLERANCE = NANOSECONDS // 200  # 5 ms between two computers
STANDING = 1e-3  # rad/s
OFF_PATH = 0.02  # rad between reference and trajectory above which a stop does not trust the path


@dataclass(frozen=True)
class Cause:
    """Why a plan was not followed, or why the arm stopped; the fields of an event."""

    reason: str
    detail: str
    subject: str = ""
    value: float = nan
    limit: float = nan


class PlanRefused(ValueError):
    """Nothing is sent; what is executed goes on."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(f"{cause.reason}: {cause.detail}")
        self.cause = cause


class Inner(Protocol):
    """The controller behind the bridge."""

    def reference(self, now: int) -> Reference | None:
        """Return what it commands; None while it tells nothing that could be gone on from."""

    @property
    def measured(self) -> Array:
        """Where the arms are, in the reference's order."""

    @property
    def speed_scaling(self) -> float:
        """The robot's own."""

    def shape(self, shaping: Shaping) -> Shaping:
        """Return how plans are shaped for it now, or raise TrajectoryRefused."""

    def send(self, trajectory: Trajectory, now: int) -> None:
        """Replace what it follows."""

    def forget(self) -> None:
        """Begin the next trajectory where the arm is."""


@dataclass(frozen=True, eq=False)
class Plan:
    """What a chunk says."""

    rows: Prediction
    session: int
    sequence: int
    observation: int  # ns


@dataclass(frozen=True, eq=False)
class State:
    """What is done, in the words of our own controller."""

    mode: Mode
    stop_reason: str
    reference: Reference | None  # the last one that was known, if the controller tells none
    measured: Array
    remaining: float  # s
    plan_age: float  # s since the last plan; NaN before the first
    session: int
    sequence: int
    accepted: int
    refused: int
    rows_skipped: int
    stops: int
    speed_scaling: float
    grippers: Mapping[str, float]


class Bridge:
    """One timeline for all joints of a cell. Not for several threads."""

    def __init__(
        self,
        inner: Inner,
        strokes: Mapping[str, float],
        shaping: Shaping,
    ) -> None:
        """Prepare.

        Args:
            inner: the controller.
            strokes: how far each gripper opens (m).
            shaping: of every plan; its horizon is the blind limit if it has none.
        """
        self._inner, self._strokes = inner, dict(strokes)
        self._shaping = replace(shaping, horizon=min(shaping.horizon, BLIND_LIMIT))
        self._trajectory: Trajectory | None = None
        self._plan: Plan | None = None
        self._known: Reference | None = None
        self._grippers: dict[str, float] = {}
        self._stopping = False  # the trajectory is a stop
        self._latched = self._paused = self._faulty = False
        self._reason = ""
        self._received = -1
        self._accepted = self._refused = self._skipped = self._stops = 0
        self.news: list[Cause] = []  # stops that nobody has been told of

    # Requests

    def submit(self, plan: Plan, now: int) -> None:
        """Follow a plan from now on, or raise PlanRefused."""
        try:
            self._check(plan, now)
            reference = self._inner.reference(now)
            if reference is None:
                raise TrajectoryRefused("not_active", "the controller tells no reference")
            shaping = self._inner.shape(self._shaping)
            trajectory = trajectory_from_plan(plan.rows, reference, now, shaping)
        except TrajectoryRefused as refused:
            self._refused += 1
            raise PlanRefused(Cause(refused.reason, refused.detail, refused.joint)) from None
        self._inner.send(trajectory, now)
        self._trajectory, self._plan, self._stopping = trajectory, plan, False
        self._accepted += 1
        self._skipped += int(np.count_nonzero(plan.rows.times <= trajectory.start))
        self._received = now

    def _check(self, plan: Plan, now: int) -> None:
        if self._latched:
            raise TrajectoryRefused("stopped", "a stop is latched; call reset_stop")
        if self._paused:
            raise TrajectoryRefused("paused", "paused; call resume")
        last = self._plan
        if last and plan.session == last.session and plan.sequence <= last.sequence:
            raise TrajectoryRefused(
                "old_sequence", f"expected more than {last.sequence}, got {plan.sequence}"
            )
        if plan.observation > now + CLOCK_TOLERANCE:
            ahead = (plan.observation - now) / NANOSECONDS
            raise TrajectoryRefused(
                "observation_ahead", f"seen {ahead:.3f} s from now: synchronise the clocks"
            )

    def stop(
        self, now: int, reason: str = "requested", detail: str = "a stop was requested"
    ) -> None:
        """Come to rest on the path; latched until `reset_stop`."""
        if not self._latched:
            self._latched = True
            self._tell(Cause(reason, f"{detail}; it is latched until reset_stop"))
            self._slow_down(now)

    def pause(self, now: int) -> None:
        """Come to rest on the path, until `resume`."""
        if not (self._paused or self._latched):
            self._paused = True
            self._reason = "paused"
            self._slow_down(now)

    def reset_stop(self, now: int) -> tuple[bool, str]:
        """Release a stop; only at rest. Whatever happened meanwhile: the arm is where it is."""
        if self._moves(now):
            return False, "still moving; call again at standstill"
        held = self._latched
        self._latched = self._paused = False
        self._rest()
        return True, "released; waits for a chunk" if held else "no stop was latched"

    def resume(self, now: int) -> tuple[bool, str]:
        """End a pause; only at rest."""
        if self._latched:
            return False, "a stop is latched; call reset_stop"
        if self._moves(now):
            return False, "still moving; call again at standstill"
        self._paused = False
        return True, "waits for a chunk"

    # Every step

    def step(self, now: int) -> State:
        """Watch over the motion; return what is done."""
        reference = self._inner.reference(now)
        if reference is not None:
            self._faulty = False
            self._known = reference
            self._watch(reference, now)
        elif self._known is not None:
            self._lose(self._known, now)
        self._grippers |= self._targets(now)
        mode = self._mode(now)
        plan, trajectory = self._plan, self._trajectory
        return State(
            mode=mode,
            stop_reason=self._reason,
            reference=self._known,
            measured=self._inner.measured,
            remaining=max(0.0, (_rest_of(trajectory) - now) / NANOSECONDS) if trajectory else 0.0,
            plan_age=(now - self._received) / NANOSECONDS if self._received >= 0 else nan,
            session=plan.session if plan else 0,
            sequence=plan.sequence if plan else 0,
            accepted=self._accepted,
            refused=self._refused,
            rows_skipped=self._skipped,
            stops=self._stops,
            speed_scaling=self._inner.speed_scaling,
            grippers=dict(self._grippers),
        )

    def _lose(self, known: Reference, now: int) -> None:
        self._known = replace(known, stamp=now, velocities=np.zeros_like(known.velocities))
        if not self._faulty:
            self._faulty = True
            self._tell(
                Cause("not_ready", "the controller behind tells no reference: is it active?")
            )
            self._rest()

    def _watch(self, reference: Reference, now: int) -> None:
        distance = np.abs(self._inner.measured - reference.positions)
        joint = int(np.argmax(distance))
        if distance[joint] > self._shaping.start_tolerance and not self._latched:
            name = reference.joint_names[joint]
            self.stop(now, "tracking_error", f"{name} is {distance[joint]:.3f} rad from its target")
        if self._trajectory is not None and not self._moves(now):
            if not self._stopping:
                self._tell(Cause("end_of_data", "nothing newer came before the end of the plan"))
            self._trajectory, self._stopping = None, False

    def _moves(self, now: int) -> bool:
        if self._trajectory is not None and now < _rest_of(self._trajectory):
            return True
        # A robot at half its speed needs longer than its trajectory says.
        reference = self._inner.reference(now)
        return reference is not None and bool(np.abs(reference.velocities).max() > STANDING)

    def _mode(self, now: int) -> Mode:
        if self._faulty or self._known is None:
            return Mode.FAULT
        if self._moves(now):
            slows = self._stopping or self._latched or self._paused
            return Mode.STOPPING if slows else Mode.TRACKING
        if self._latched:
            return Mode.STOPPED
        return Mode.PAUSED if self._paused else Mode.HOLD

    def _targets(self, now: int) -> dict[str, float]:
        plan = self._plan
        if plan is None or self._mode(now) is not Mode.TRACKING:
            return {}
        rows = plan.rows
        row = int(np.clip((now - rows.plan_start) / (rows.dt * NANOSECONDS), 0, rows.rows - 1))
        return {
            name: float(np.clip(target, 0.0, self._strokes[name]))
            for name, target in zip(rows.gripper_names, rows.gripper_targets[row], strict=True)
            if name in self._strokes and np.isfinite(target)
        }

    # Coming to rest

    def _slow_down(self, now: int) -> None:
        reference = self._inner.reference(now)
        if reference is None or not self._moves(now):
            return
        shaping = self._shaping
        # A robot that is held must not go on with its old trajectory when it is released.
        with suppress(TrajectoryRefused):
            shaping = self._inner.shape(shaping)
        start = now + round(shaping.lead * NANOSECONDS)
        acceleration, hold = shaping.stop_acceleration, shaping.hold
        followed = self._trajectory
        if followed is not None and _near(reference, followed):
            trajectory = stop_along(followed, start, acceleration, hold)
        else:
            trajectory = brake(reference, start, acceleration, hold)
        self._inner.send(trajectory, now)
        self._trajectory, self._stopping = trajectory, True

    def _rest(self) -> None:
        """Forget what was followed: somebody else may have moved the arm since."""
        self._trajectory, self._stopping = None, False
        self._inner.forget()

    def _tell(self, cause: Cause) -> None:
        self._reason = cause.reason
        self._stops += 1
        self.news.append(cause)


def _rest_of(trajectory: Trajectory) -> int:
    """Return when a trajectory stands: behind that, it only holds."""
    return trajectory.start + round(float(trajectory.times[-2]) * NANOSECONDS)


def _near(reference: Reference, trajectory: Trajectory) -> bool:
    where, _ = trajectory.at(reference.stamp)
    return bool(np.abs(reference.positions - where).max() <= OFF_PATH)
