"""From the velocity of one arm's tool to the velocities of its joints, by damped least squares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from labvla_policy.runtime.cell import Arm
from labvla_policy.runtime.kinematics import CHAINS
from labvla_policy.runtime.teleop.jog import Frame
from labvla_policy.runtime.types import Array


@dataclass(frozen=True)
class ServoSettings:
    """How a tool velocity is shared out to joints."""

    share: float = 0.75  # of the operating speeds: what the controller follows exactly, as move_to
    singular: float = 0.08  # smallest singular value below which damping begins
    damping: float = 0.05  # at a singularity
    comfort: float = 0.5  # 1/s, pull of the free joint towards the comfortable posture
    margin: float = 0.15  # rad before the end of a range within which a joint slows down


@dataclass(frozen=True, eq=False)
class JointMotion:
    """Velocities of one arm's joints."""

    velocities: Array  # rad/s
    scale: float  # of what was asked for
    decides: int  # joint that made it slower


class Servo:
    """One arm's inverse kinematics of velocities. Keeps nothing between two calls."""

    def __init__(self, arm: Arm, settings: ServoSettings | None = None) -> None:
        self._settings = settings or ServoSettings()
        self._chain = CHAINS[arm.kind]
        self._tool = arm.tcp.matrix()
        limits = arm.operating_limits
        self._lower = np.asarray(limits.position_lower)
        self._upper = np.asarray(limits.position_upper)
        self._fastest = self._settings.share * np.asarray(limits.velocity)
        names = [posture.name for posture in arm.postures]
        comfortable = "ready" if "ready" in names else names[0]
        self._comfortable = np.asarray(arm.posture(comfortable).joints)

    def tool(self, q: Array) -> Array:
        """Return the pose of the tool in the arm's base frame, 4 x 4."""
        pose: Array = self._chain.forward(q) @ self._tool
        return pose

    def velocities(self, q: Array, twist: Array, frame: Frame) -> JointMotion:
        """Return joint velocities that move the tool as asked, all slowed down alike if need be.

        Slowing all joints alike keeps the direction: near a limit or a singularity the tool goes
        where it was sent, only slower.
        """
        if not np.any(twist):
            return JointMotion(np.zeros_like(q), 1.0, 0)
        if frame == "tool":
            turn = self.tool(q)[:3, :3]
            twist = np.concatenate([turn @ twist[:3], turn @ twist[3:]])
        jacobian = self._chain.jacobian(q, self._tool)
        u, sigma, vt = np.linalg.svd(jacobian)
        wanted = vt[: len(sigma)].T @ (self._inverted(sigma) * (u.T @ twist))
        free = vt[len(sigma) :]
        wanted = wanted + free.T @ (free @ (self._settings.comfort * (self._comfortable - q)))
        return self._slowed(q, wanted)

    def _inverted(self, sigma: Array) -> Array:
        """Return the inverses of singular values, damped as far as the smallest one asks for it."""
        near = max(0.0, 1.0 - (sigma[-1] / self._settings.singular) ** 2)
        inverted: Array = sigma / (sigma**2 + near * self._settings.damping**2)
        return inverted

    def _slowed(self, q: Array, wanted: Array) -> JointMotion:
        room = np.where(wanted > 0, self._upper - q, q - self._lower)
        allowed = self._fastest * np.clip(room / self._settings.margin, 0.0, 1.0)
        ratios = np.abs(wanted) / np.maximum(allowed, 1e-9)
        joint = int(np.argmax(ratios))
        scale = 1.0 / max(1.0, float(ratios[joint]))
        return JointMotion(wanted * scale, scale, joint)
