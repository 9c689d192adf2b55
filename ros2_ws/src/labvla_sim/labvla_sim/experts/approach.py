"""Choose how to turn the hand: which way to close the fingers over a point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from labvla_sim.experts.base import Expert, tool_pose

if TYPE_CHECKING:
    from labvla_policy.runtime.types import Array

_YAWS = np.deg2rad(np.arange(-75, 90, 15))
_HAND_HALF_LENGTH = 0.11  # m along the closing direction
_NEAR = 0.06  # m beside the hand that count as crowded
_LONG_WAY = 8.0  # cost of an approach beside an obstacle, in rad of joint motion


@dataclass(frozen=True)
class Approach:
    """A way to a point: joints above it and the path of joints down to it."""

    above: Array
    down: Array  # k x joints
    pose: Array  # 4 x 4, at the end


def choose(
    expert: Expert,
    joints: Array,
    goal: Array,
    direction: Array,
    clearance: float,
    obstacles: list[Array],
) -> Approach | None:
    """Return the best approach to `goal` along `direction` from `clearance` before it.

    The hand may be turned about the direction. What counts is how far the joints are from the
    comfortable posture, so that all plans of an episode stay in one branch of the inverse
    kinematics, and whether the palm would come over an obstacle (x, y).
    """
    best, lowest = None, np.inf
    for yaw in _YAWS:
        closing = np.array([-np.sin(yaw), np.cos(yaw), 0.0])
        pose = tool_pose(goal, direction, -closing)
        before = pose.copy()
        before[:3, 3] -= clearance * direction / np.linalg.norm(direction)
        above = expert.reach.solve(before, expert.reach.comfortable)
        if above is None:
            continue
        cost = float(np.abs(above - expert.reach.comfortable).sum())
        cost += 0.1 * float(np.abs(above - joints).max())
        cost += _LONG_WAY * sum(_crowded(goal, closing, place) for place in obstacles)
        if cost >= lowest:
            continue
        down = expert.straight(above, pose)
        if down is not None:
            best, lowest = Approach(above, down, pose), cost
    return best


def _crowded(goal: Array, closing: Array, place: Array) -> float:
    """Return how much a place is under the palm, 0 to 1."""
    offset = place[:2] - goal[:2]
    along = np.clip(offset @ closing[:2], -_HAND_HALF_LENGTH, _HAND_HALF_LENGTH)
    distance = np.linalg.norm(offset - along * closing[:2])
    return float(np.clip(1.0 - distance / _NEAR, 0.0, 1.0))
