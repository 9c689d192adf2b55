"""Inverse kinematics by damped least squares, on the published chain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from labvla_policy.runtime.kinematics import CHAINS

if TYPE_CHECKING:
    from labvla_policy.runtime.cell import Arm
    from labvla_policy.runtime.types import Array

_DAMPING = 0.03
_LARGEST_STEP = 0.2  # rad
_NULL_PULL = 0.08  # share of the way to the comfortable posture per iteration
_POSITION_TOLERANCE = 0.3e-3  # m
_ANGLE_TOLERANCE = 3e-3  # rad
_ITERATIONS = 80
_MARGIN = 0.02  # rad inside the operating limits


class Reach:
    """Finds joints for tool poses of one arm, staying near a comfortable posture."""

    def __init__(self, arm: Arm) -> None:
        self._chain = CHAINS[arm.kind]
        self._tool = arm.tcp.matrix()
        self._base = np.linalg.inv(arm.base.matrix())
        self._lower = np.asarray(arm.operating_limits.position_lower) + _MARGIN
        self._upper = np.asarray(arm.operating_limits.position_upper) - _MARGIN
        self.comfortable = np.asarray(_comfortable(arm))

    def tool(self, joints: Array) -> Array:
        """Return the tool centre point in the arm's base frame, 4 x 4."""
        result: Array = self._chain.forward(joints) @ self._tool
        return result

    def solve(self, pose: Array, seed: Array) -> Array | None:
        """Return joints that bring the tool to a pose of the cell's frame, or None."""
        goal = self._base @ pose
        joints = np.clip(seed, self._lower, self._upper)
        for _ in range(_ITERATIONS):
            error = _difference(goal, self.tool(joints))
            position = float(np.linalg.norm(error[:3]))
            angle = float(np.linalg.norm(error[3:]))
            if position < _POSITION_TOLERANCE and angle < _ANGLE_TOLERANCE:
                return joints
            jacobian = self._chain.jacobian(joints, self._tool)
            damped = jacobian.T @ np.linalg.inv(jacobian @ jacobian.T + _DAMPING**2 * np.eye(6))
            # The pull fades near the goal: with damping, the two would never quite agree.
            pull = _NULL_PULL * min(1.0, (position + 0.2 * angle) / 0.02)
            step = damped @ error + (np.eye(len(joints)) - damped @ jacobian) @ (
                pull * (self.comfortable - joints)
            )
            step *= min(1.0, _LARGEST_STEP / max(np.abs(step).max(), 1e-9))
            joints = np.clip(joints + step, self._lower, self._upper)
        return None


def _difference(goal: Array, pose: Array) -> Array:
    """Return the translation and small rotation from pose to goal, in the outer frame."""
    turn = goal[:3, :3] @ pose[:3, :3].T
    axis = np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]])
    sine, cosine = np.linalg.norm(axis) / 2, (np.trace(turn) - 1) / 2
    angle = np.arctan2(sine, cosine)
    scale = 0.5 if sine < 1e-9 else angle / (2 * sine)
    return np.concatenate([goal[:3, 3] - pose[:3, 3], scale * axis])


def _comfortable(arm: Arm) -> tuple[float, ...]:
    names = {posture.name for posture in arm.postures}
    return tuple(arm.posture("ready" if "ready" in names else "home").joints)
