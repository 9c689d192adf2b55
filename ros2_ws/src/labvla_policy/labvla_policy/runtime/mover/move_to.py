"""move_to: from where the arms are commanded to be, to a posture, or the reason why not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from labvla_policy.runtime.cell import Cell
from labvla_policy.runtime.gate.gate import Gate
from labvla_policy.runtime.gate.rules import Limits, Situation
from labvla_policy.runtime.mover.curve import Curve
from labvla_policy.runtime.mover.profile import Profile, fastest
from labvla_policy.runtime.mover.way import WayPlanner, checked
from labvla_policy.runtime.refusal import Refusal, Refused
from labvla_policy.runtime.types import NANOSECONDS, Array, Prediction


@dataclass(frozen=True)
class MoverSettings:
    """How postures are reached."""

    default_scale: float = 0.5  # of the operating speed: nobody is in a hurry at set-up
    # Of the operating limits. The controller follows rows exactly while their curve stays within
    # 0.85 of them; beyond, it smooths them, and the way would not be the one that was checked.
    share: float = 0.75
    dt: float = 0.02  # s between rows
    at_rest: float = 0.01  # rad/s; the profile begins from rest
    nothing: float = 1e-6  # rad; a goal this near is reached already


@dataclass(frozen=True, eq=False)
class Leg:
    """A straight motion in joint space."""

    start: Array
    goal: Array
    profile: Profile
    scale: float  # of the profile's speed

    @property
    def duration(self) -> float:
        """How long it takes (s)."""
        return self.profile.duration / self.scale

    def at(self, seconds: Array) -> Array:
        """Return the positions at times (s) from the beginning: times x joints."""
        s = self.profile.at(np.asarray(seconds) * self.scale)[:, np.newaxis]
        return self.start + s * (self.goal - self.start)


@dataclass(frozen=True, eq=False)
class Motion:
    """A checked motion: one leg, or several with a rest between them; or one curve."""

    joint_names: tuple[str, ...]
    legs: tuple[Leg | Curve, ...]
    begin: int  # ns
    dt: float
    via: str = ""  # posture on the way, if the straight way was not free

    @property
    def duration(self) -> float:
        """How long the whole motion takes (s)."""
        return sum(leg.duration for leg in self.legs)

    @property
    def goal(self) -> Array:
        """Where it ends."""
        return self.legs[-1].goal

    def progress(self, t: int) -> float:
        """Return the part of the time that is over, 0 to 1."""
        if self.duration == 0:
            return 1.0
        return float(np.clip((t - self.begin) / NANOSECONDS / self.duration, 0.0, 1.0))

    def at(self, seconds: Array) -> Array:
        """Return the positions at times (s) from the beginning: times x joints."""
        seconds = np.asarray(seconds, dtype=np.float64)
        result = self.legs[0].at(seconds)
        passed = self.legs[0].duration
        for leg in self.legs[1:]:
            later = seconds > passed
            result[later] = leg.at(seconds[later] - passed)
            passed += leg.duration
        return result

    def chunk(self, t: int, rows: int) -> Prediction:
        """Return the rows from the moment t on; after the end the goal is held.

        Rows lie on one grid for the whole motion: chunks that overlap say the same, so that the
        controller has nothing to splice.
        """
        step = round(self.dt * NANOSECONDS)
        first = max(0, -(-(t - self.begin) // step))
        numbers = first + np.arange(rows)
        return Prediction(
            plan_start=self.begin + first * step,
            dt=step / NANOSECONDS,
            joint_names=self.joint_names,
            joint_targets=self.at(numbers.astype(np.float64) * (step / NANOSECONDS)),
            gripper_names=(),
            gripper_targets=np.empty((rows, 0)),
        )


class Mover:
    """Plans motions to postures for one cell."""

    def __init__(
        self,
        cell: Cell,
        gate: Gate,
        settings: MoverSettings | None = None,
        ways: WayPlanner | None = None,
    ) -> None:
        """Plan for a cell; `ways` finds ways round what is in between, else they are straight."""
        self._cell = cell
        self._gate = gate
        self._ways = ways
        self._settings = settings or MoverSettings()
        self._limits = Limits.of_cell(cell)

    def planner(
        self, posture: str, joints: Sequence[str], positions: Sequence[float], scale: float = 0.0
    ) -> Callable[[Situation], Motion]:
        """Return what plans to a posture, or to positions of joints, from wherever the arms are.

        What no situation can repair is refused here, before anybody gives up the motion for it.
        """
        self._checked(scale)
        if posture and not joints and not positions:
            self._posture(posture)
            return lambda now: self.to_posture(posture, now, scale)
        unique = len(set(joints)) == len(joints) == len(positions) > 0
        if posture or not unique:
            raise _refused(
                "goal_shape",
                f"expected a posture, or joints with one position each; got the posture "
                f"{posture!r}, joints {', '.join(joints) or 'none'} and {len(positions)} positions",
            )
        goal = dict(zip(joints, positions, strict=True))
        self._filled(goal, np.zeros(len(self._cell.joints)))
        return lambda now: self.to_joints(goal, now, scale)

    def to_posture(self, name: str, now: Situation, scale: float = 0.0) -> Motion:
        """Plan to a posture of the cell; scale 0 takes the default."""
        return self._plan(self._posture(name), now, scale)

    def to_joints(self, goal: Mapping[str, float], now: Situation, scale: float = 0.0) -> Motion:
        """Plan to joint positions; joints left out stay where they are."""
        return self._plan(self._filled(goal, now.positions), now, scale)

    def _filled(self, goal: Mapping[str, float], others: Array) -> Array:
        positions = others.copy()
        for joint, position in goal.items():
            if joint not in self._cell.joints:
                known = ", ".join(self._cell.joints)
                raise _refused("joint_unknown", f"expected joints out of {known}, got {joint}")
            if not np.isfinite(position):
                raise _refused("goal_not_finite", f"{joint} is {position}", joint)
            positions[self._cell.joints.index(joint)] = position
        return positions

    def _posture(self, name: str) -> Array:
        known = [posture.name for posture in self._cell.arms[0].postures]
        if name not in known:
            raise _refused("posture_unknown", f"expected one of {', '.join(known)}, got {name!r}")
        return np.concatenate([arm.posture(name).joints for arm in self._cell.arms])

    def _checked(self, scale: float) -> float:
        scale = scale or self._settings.default_scale
        if not 0 < scale <= 1:
            raise _refused("speed_scale", f"expected above 0 and at most 1, got {scale}")
        return scale

    def _plan(self, goal: Array, now: Situation, scale: float) -> Motion:
        scale = self._checked(scale)
        fast = np.abs(now.velocities) > self._settings.at_rest
        if np.any(fast):
            joint = int(np.argmax(np.abs(now.velocities)))
            raise _refused(
                "not_at_rest",
                f"the reference moves at {abs(now.velocities[joint]):.3f} rad/s",
                self._cell.joints[joint],
                float(abs(now.velocities[joint])),
                self._settings.at_rest,
            )
        if self._ways is None or np.all(np.abs(goal - now.positions) <= self._settings.nothing):
            return self._joint_motion(goal, now, scale)
        return self._planned(self._ways, goal, now, scale)

    def _planned(self, ways: WayPlanner, goal: Array, now: Situation, scale: float) -> Motion:
        """Ask the planner for a way, and give it our timing; the gate has the last word."""
        points = checked(ways.find(now.positions, goal), self._cell.joints, now.positions, goal)
        share, limits = self._settings.share, self._limits
        curve = Curve.within(
            points, share * limits.velocity, share * limits.acceleration, share * limits.jerk, scale
        )
        motion = Motion(self._cell.joints, (curve,), now.t, self._settings.dt)
        if refusal := self._why_not(motion, now):
            detail = f"the planner's way does not pass the gate: {refusal.detail}"
            raise Refused(replace(refusal, detail=detail))
        return motion

    def _joint_motion(self, goal: Array, now: Situation, scale: float) -> Motion:
        """Try the straight way, then the ways over each posture; refuse for the straight one."""
        straight = self._refusal([now.positions, goal], now, scale)
        if straight is None:
            return self._motion([now.positions, goal], now.t, scale)
        for posture in self._cell.arms[0].postures:
            stops = [now.positions, self._posture(posture.name), goal]
            if self._refusal(stops, now, scale) is None:
                return replace(self._motion(stops, now.t, scale), via=posture.name)
        raise Refused(straight)

    def _motion(self, stops: Sequence[Array], begin: int, scale: float) -> Motion:
        legs = [self._leg(a, b, scale) for a, b in pairwise(stops)]
        return Motion(self._cell.joints, tuple(legs), begin, self._settings.dt)

    def _leg(self, start: Array, goal: Array, scale: float) -> Leg:
        distance = np.abs(goal - start)
        moving = distance > self._settings.nothing
        if not np.any(moving):
            return Leg(start, goal, Profile(0.0, 0.0, 0.0, 0.0), scale)
        share = self._settings.share
        # the joint that needs most of its limit decides for all
        limits = (self._limits.velocity, self._limits.acceleration, self._limits.jerk)
        speed, acceleration, jerk = (
            float(np.min(share * limit[moving] / distance[moving])) for limit in limits
        )
        return Leg(start, goal, fastest(speed, acceleration, jerk), scale)

    def _refusal(self, stops: Sequence[Array], now: Situation, scale: float) -> Refusal | None:
        return self._why_not(self._motion(stops, now.t, scale), now)

    def _why_not(self, motion: Motion, now: Situation) -> Refusal | None:
        """Check the whole way at the very rows that will be sent."""
        rows = int(np.ceil(motion.duration / motion.dt)) + 1
        path = motion.chunk(now.t, rows).joint_targets
        return self._gate.check_path(path, replace(now, returning=True))


def _refused(
    reason: str,
    detail: str,
    subject: str = "",
    value: float = float("nan"),
    limit: float = float("nan"),
) -> Refused:
    return Refused(Refusal(reason, detail, subject, value, limit))
