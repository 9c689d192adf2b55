"""The robots as the policy node sees them: whether anybody may move them."""

from __future__ import annotations

import time
from collections.abc import Callable

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node

from labvla_policy.nodes import qos
from labvla_policy.runtime.refusal import Refusal

SILENCE = 1.0  # s; the robot node tells at 5 Hz, and at every change at once


class RobotLink:
    """Keeps what the robot node told last."""

    def __init__(self, node: Node, heard: Callable[[], None]) -> None:
        self._heard = heard
        self._newest: tuple[float, DiagnosticStatus] | None = None
        node.create_subscription(DiagnosticStatus, "labvla/robot", self._on_status, qos.LATCHED)

    def why_not(self) -> Refusal | None:
        """Return why nobody may move the robots; None if they are ready."""
        if self._newest is None:
            return Refusal("robot_silent", "nothing heard of the robot node: is it running?")
        since, status = self._newest
        silent = time.monotonic() - since
        if silent > SILENCE:
            return Refusal("robot_silent", f"nothing heard of the robot node for {silent:.1f} s")
        if status.level == DiagnosticStatus.OK:
            return None
        told = {pair.key: pair.value for pair in status.values}
        return Refusal(told["reason"], status.message, told["subject"])

    def _on_status(self, status: DiagnosticStatus) -> None:
        self._newest = (time.monotonic(), status)
        self._heard()
