"""SafetyEvents: one a cause, repetitions counted."""

from __future__ import annotations

from rclpy.node import Node

from labvla_msgs.msg import SafetyEvent
from labvla_policy.nodes import qos
from labvla_policy.nodes.stamps import to_stamp
from labvla_policy.runtime.event_log import Cause, EventLog
from labvla_policy.runtime.refusal import Refusal


class Events:
    """Publishes what was refused, limited or stopped, and keeps a log of all of it."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._publisher = node.create_publisher(SafetyEvent, "labvla/events", qos.RELIABLE)
        self.log = EventLog()

    def refused(self, refusal: Refusal, t: int, sequence: int = 0) -> None:
        """Tell that something was refused."""
        self.tell(SafetyEvent.REFUSED, refusal.source, refusal, t, sequence)

    def limited(self, refusal: Refusal, t: int, sequence: int = 0) -> None:
        """Tell that something was accepted, but slowed down."""
        self.tell(SafetyEvent.LIMITED, refusal.source, refusal, t, sequence)

    def tell(self, severity: int, source: str, cause: Cause, t: int, sequence: int) -> None:
        """Publish an event, unless the same was told just now."""
        count = self.log.note(source, cause, t)
        if count == 0:
            return
        self._node.get_logger().warning(f"{cause.reason} {cause.subject}: {cause.detail}")
        self._publisher.publish(
            SafetyEvent(
                stamp=to_stamp(t),
                severity=severity,
                source=source,
                reason=cause.reason,
                detail=cause.detail,
                joint=cause.subject,
                value=cause.value,
                limit=cause.limit,
                sequence=sequence,
                count=count,
            )
        )
