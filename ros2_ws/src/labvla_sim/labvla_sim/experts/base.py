"""What all experts share: follow a motion, notice that something went wrong, plan again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from labvla_sim.experts.ik import Reach
from labvla_sim.experts.motion import Motion, MotionBuilder

if TYPE_CHECKING:
    from labvla_policy.runtime.cell import Cell
    from labvla_policy.runtime.types import Array
    from labvla_sim.plant.truth import Truth

ROWS = 50
# A joint further than this from the motion means that somebody else moved the arm.
_LOST = 0.12  # rad
# A slow or delayed controller lags behind by more than contact ever holds the arm back; only then
# progress is searched, this far back and ahead. Otherwise pushing against something would stop it.
_LAGGING = 0.06  # rad
_BACK, _AHEAD = 0.6, 0.2  # s
# Below _LAGGING the arm is taken to be where it is due, so the progress may have run ahead of it.
_REGRESS = 0.25  # s
_TIMES = 32  # that are looked at


@dataclass(frozen=True)
class Plan:
    """Rows from now on: row k is the target (k + row_offset) row times from now."""

    joints: Array  # rows x all joints of the cell, rad, absolute
    widths: Array  # rows x arms, m between the fingers
    dt: float  # s
    phase: str
    replanned: str  # why a new motion was made; empty while the last one goes on


class Expert(ABC):
    """A scripted expert for the first arm of a cell.

    It reads the true state of the scene (object poses, contacts, device states), which a policy
    never sees: it shows that a task can be done, makes demonstrations, and stands in as an engine.
    `plan` may be called as often as one likes; it goes on with the motion under way as long as
    joints and objects are where that motion expects them, and makes a new one otherwise.
    """

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self.arm = cell.arms[0]
        self.reach = Reach(self.arm)
        self._motion: Motion | None = None

    def begin(self) -> None:
        """Forget the motion under way, at the start of an episode."""
        self._motion = None

    @property
    def finished(self) -> bool:
        """Whether the motion under way is at its end."""
        return self._motion is not None and self._progress >= self._motion.duration

    def phase_at(self, time: float) -> str:
        """Return what is going on at a time (s since the reset) after the last plan."""
        assert self._motion is not None
        return self._motion.phase(self._progress + time - self._time)

    def plan(self, truth: Truth, rows: int = ROWS) -> Plan:
        """Return what to do from the present state on."""
        reason = self._why_replan(truth)
        if reason:
            self._motion = self._new_motion(truth)
            self._progress, self._time = 0.0, truth.time
        assert self._motion is not None
        contract = self._cell.policy
        dt = 1.0 / contract.row_rate
        times = self._progress + dt * (np.arange(rows, dtype=np.float64) + contract.row_offset)
        joints, widths = self._motion.at(times)
        own = len(self.arm.joints)
        return Plan(
            joints=np.column_stack([joints, np.tile(truth.joints[own:], (rows, 1))]),
            widths=np.column_stack([widths, np.tile(truth.widths[1:], (rows, 1))]),
            dt=dt,
            phase=self._motion.phase(self._progress),
            replanned=reason,
        )

    @abstractmethod
    def decide(self, truth: Truth, motion: MotionBuilder) -> None:
        """Append what has to be done from here to the goal."""

    @abstractmethod
    def surprise(self, truth: Truth, phase: str, over: bool) -> str:
        """Return why the motion under way no longer fits the scene, or nothing.

        `over` says that the motion is at its end.
        """

    def _why_replan(self, truth: Truth) -> str:
        if self._motion is None:
            return "begin"
        due = self._progress + truth.time - self._time
        earliest = max(self._progress - _REGRESS, 0.0)
        candidates = np.maximum(np.linspace(due - _BACK, due + _AHEAD, _TIMES + 1), earliest)
        candidates[0] = due
        reference, _ = self._motion.at(candidates)
        away = np.abs(reference - truth.joints[: len(self.arm.joints)]).max(axis=1)
        if away.min() > _LOST:
            return "the arm was moved"
        if away[0] >= _LAGGING:
            due = max(self._nearest(float(candidates[away.argmin()]), truth), earliest)
        self._progress, self._time = due, truth.time
        over = self._progress >= self._motion.duration
        return self.surprise(truth, self._motion.phase(self._progress), over)

    def _nearest(self, about: float, truth: Truth) -> float:
        """Return when the motion passes nearest to the joints, within a step of the search.

        Not one of the times that were searched: where the arm got on by less than a step, the same
        time would give the same rows, and somebody who watches for that would take it for a fault.
        """
        assert self._motion is not None
        step = (_AHEAD + _BACK) / _TIMES
        (first, last), _ = self._motion.at(np.array([about - step, about + step]))
        way = last - first
        length = float(way @ way)
        if length == 0.0:
            return about
        share = float((truth.joints[: len(way)] - first) @ way) / length
        return about + step * (2.0 * min(max(share, 0.0), 1.0) - 1.0)

    def _new_motion(self, truth: Truth) -> Motion:
        joints = truth.joints[: len(self.arm.joints)]
        builder = MotionBuilder(self.arm, joints, float(truth.widths[0]))
        self.decide(truth, builder)
        return builder.build()

    def straight(self, start: Array, pose: Array, points: int = 8) -> Array | None:
        """Return joints along a straight line of the tool from joints `start` to a pose."""
        origin = self.arm.base.matrix() @ self.reach.tool(start)
        joints, path = start, []
        for share in np.linspace(0.0, 1.0, points + 1)[1:]:
            middle = pose.copy()
            middle[:3, 3] = origin[:3, 3] + share * (pose[:3, 3] - origin[:3, 3])
            middle[:3, :3] = _between(origin[:3, :3], pose[:3, :3], share)
            solved = self.reach.solve(middle, joints)
            if solved is None:
                return None
            joints = solved
            path.append(joints)
        return np.array(path)


def tool_pose(position: Array, approach: Array, closing: Array) -> Array:
    """Return a tool pose from its approach (z) and closing (y) directions."""
    z = approach / np.linalg.norm(approach)
    y = closing - (closing @ z) * z
    y /= np.linalg.norm(y)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([np.cross(y, z), y, z], axis=1)
    pose[:3, 3] = position
    return pose


def _between(start: Array, end: Array, share: float) -> Array:
    """Return the rotation at a share of the way from start to end."""
    turn = end @ start.T
    axis = np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]])
    sine = np.linalg.norm(axis) / 2
    if sine < 1e-9:
        return end
    angle = share * np.arctan2(sine, (np.trace(turn) - 1) / 2)
    x, y, z = axis / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    rotation: Array = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return rotation @ start
