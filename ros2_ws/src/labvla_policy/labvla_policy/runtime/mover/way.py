"""A planner of somebody else's: what it is asked, and what its answer has to be.

A planner only knows where the arms could go. When they go, how fast, and whether at all is decided
here: its way gets our timing, and passes the gate, the arbiter and the controller like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from typing import Protocol

import numpy as np

from labvla_policy.runtime.refusal import Refusal, Refused
from labvla_policy.runtime.types import Array

START_TOLERANCE = 0.01  # rad between where the arms are commanded to be and a way's beginning
GOAL_TOLERANCE = 0.01  # rad; planners stop within a tolerance of their own
MOST_POINTS = 10_000


@dataclass(frozen=True, eq=False)
class Way:
    """A planner's answer: postures in turn, joints in the planner's order."""

    joint_names: tuple[str, ...]
    points: Array  # postures x joints


class WayPlanner(Protocol):
    """Finds ways between two postures."""

    def find(self, start: Array, goal: Array) -> Way:
        """Return a way between two postures in the order of cell.joints, or raise Refused."""
        ...


def checked(way: Way, joints: Sequence[str], start: Array, goal: Array) -> Array:
    """Return the postures of a way in the cell's order, from the very start to the very goal."""
    points = np.asarray(way.points, dtype=np.float64)
    if sorted(way.joint_names) != sorted(joints):
        raise _refused(
            "planner_answer",
            f"expected every joint of the cell once, got {', '.join(way.joint_names) or 'none'}",
        )
    if points.ndim != 2 or points.shape[1] != len(joints) or not 2 <= len(points) <= MOST_POINTS:
        raise _refused(
            "planner_answer",
            f"expected 2 to {MOST_POINTS} postures of {len(joints)} joints, got {points.shape}",
        )
    if not np.all(np.isfinite(points)):
        row, column = (int(i) for i in np.argwhere(~np.isfinite(points))[0])
        raise _refused(
            "planner_answer",
            f"posture {row} holds {points[row, column]}",
            way.joint_names[column],
        )
    points = points[:, [way.joint_names.index(joint) for joint in joints]]
    _near(points[0], start, START_TOLERANCE, joints, "planner_start", "begins")
    _near(points[-1], goal, GOAL_TOLERANCE, joints, "planner_goal", "ends")
    return np.concatenate([[start], points[1:-1], [goal]])


def _near(
    point: Array,
    expected: Array,
    tolerance: float,
    joints: Sequence[str],
    reason: str,
    does: str,
) -> None:
    away = np.abs(point - expected)
    worst = int(np.argmax(away))
    if away[worst] > tolerance:
        raise _refused(
            reason,
            f"the planner's way {does} {away[worst]:.3f} rad away from where it should, expected "
            f"at most {tolerance:g}",
            joints[worst],
            float(away[worst]),
            tolerance,
        )


def _refused(
    reason: str, detail: str, subject: str = "", value: float = nan, limit: float = nan
) -> Refused:
    return Refused(Refusal(reason, detail, subject, value, limit))
