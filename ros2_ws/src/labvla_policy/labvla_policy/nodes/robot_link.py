"""The robots as the policy node sees them: whether anybody may move them."""

from __future__ import annotations

import time
from collections.abc import Callable

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node
from std_srvs.srv import Trigger

from labvla_policy.nodes import qos
from labvla_policy.nodes.robot_status import TOPIC, RobotStatus, from_message
from labvla_policy.runtime.refusal import Refusal

SILENCE = 1.0  # s; the robot node tells at 5 Hz, and at every change at once


class RobotLink:
    """Keeps what the robot node told last."""

    def __init__(self, node: Node, heard: Callable[[], None]) -> None:
        self._heard = heard
        self._newest: tuple[float, RobotStatus] | None = None
        node.create_subscription(DiagnosticStatus, TOPIC, self._on_status, qos.LATCHED)
        self._cancel = node.create_client(Trigger, "labvla/cancel_recovery")

    def why_not(self) -> Refusal | None:
        """Return why nobody may move the robots; None if they are ready."""
        if self._newest is None:
            return Refusal("robot_silent", "nothing heard of the robot node: is it running?")
        since, status = self._newest
        silent = time.monotonic() - since
        if silent > SILENCE:
            return Refusal("robot_silent", f"nothing heard of the robot node for {silent:.1f} s")
        if status.ready:
            return None
        return Refusal(status.reason, status.line, status.subject)

    def cancel_recovery(self) -> None:
        """Have a recovery given up: it would end by clearing the stop that a person asked for."""
        if self._cancel.service_is_ready():
            self._cancel.call_async(Trigger.Request())

    def _on_status(self, message: DiagnosticStatus) -> None:
        self._newest = (time.monotonic(), from_message(message))
        self._heard()
