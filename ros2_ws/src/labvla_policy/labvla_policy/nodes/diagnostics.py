"""Publishes findings on `/diagnostics`, once a second."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from labvla_policy.nodes import qos
from labvla_policy.nodes.stamps import to_stamp
from labvla_policy.runtime.diagnosis import PERIOD, Finding
from labvla_policy.runtime.types import NANOSECONDS

TOPIC = "/diagnostics"  # one for all namespaces, as its readers expect


class Diagnostics:
    """Asks a node how its parts are doing, and publishes the answer."""

    def __init__(
        self, node: Node, hardware_id: str, find: Callable[[int], Sequence[Finding]]
    ) -> None:
        self._node, self._hardware_id, self._find = node, hardware_id, find
        self._publisher = node.create_publisher(DiagnosticArray, TOPIC, qos.RELIABLE)
        # On a clock that always runs: that a simulation stands still has to be told, too.
        clock = Clock(clock_type=ClockType.STEADY_TIME)
        node.create_timer(PERIOD / NANOSECONDS, self._publish, clock=clock)

    def _publish(self) -> None:
        t = int(self._node.get_clock().now().nanoseconds)
        message = DiagnosticArray(status=[self._status(found) for found in self._find(t)])
        message.header.stamp = to_stamp(t)
        self._publisher.publish(message)

    def _status(self, found: Finding) -> DiagnosticStatus:
        return DiagnosticStatus(
            level=bytes([found.level]),
            name=f"{self._node.get_fully_qualified_name().lstrip('/')}: {found.part}",
            message=found.message,
            hardware_id=self._hardware_id,
            values=[KeyValue(key=key, value=str(v)) for key, v in found.values.items()],
        )
