"""SafetyEvents: one a cause, repetitions counted."""

from __future__ import annotations

from collections import Counter

from rclpy.node import Node

from labvla_msgs.msg import SafetyEvent
from labvla_policy.nodes import qos
from labvla_policy.nodes.stamps import to_stamp
from labvla_policy.runtime.refusal import Refusal
from labvla_policy.runtime.types import NANOSECONDS

QUIET = NANOSECONDS  # the same reason about the same subject is told once in this time


class Events:
    """Publishes what was refused, limited or stopped, and counts all of it."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._publisher = node.create_publisher(SafetyEvent, "labvla/events", qos.RELIABLE)
        self._told: dict[tuple[str, str], int] = {}
        self._held_back: Counter[tuple[str, str]] = Counter()
        self.counts: Counter[str] = Counter()  # by source

    def refused(self, refusal: Refusal, t: int, sequence: int = 0) -> None:
        """Tell that something was refused."""
        self.tell(SafetyEvent.REFUSED, refusal.source, refusal, t, sequence)

    def limited(self, refusal: Refusal, t: int, sequence: int = 0) -> None:
        """Tell that something was accepted, but slowed down."""
        self.tell(SafetyEvent.LIMITED, refusal.source, refusal, t, sequence)

    def tell(self, severity: int, source: str, refusal: Refusal, t: int, sequence: int) -> None:
        """Publish an event, unless the same was told just now."""
        self.counts[source] += 1
        cause = (refusal.reason, refusal.subject)
        if cause in self._told and 0 <= t - self._told[cause] < QUIET:
            self._held_back[cause] += 1
            return
        self._told[cause] = t
        count = 1 + self._held_back.pop(cause, 0)
        self._node.get_logger().warning(f"{refusal.reason} {refusal.subject}: {refusal.detail}")
        self._publisher.publish(
            SafetyEvent(
                stamp=to_stamp(t),
                severity=severity,
                source=source,
                reason=refusal.reason,
                detail=refusal.detail,
                joint=refusal.subject,
                value=refusal.value,
                limit=refusal.limit,
                sequence=sequence,
                count=count,
            )
        )
