"""SafetyEvents: one a cause, repetitions counted."""

from __future__ import annotations

from collections import Counter
from math import nan
from typing import Protocol

from rclpy.node import Node

from labvla_msgs.msg import SafetyEvent
from labvla_policy.nodes import qos
from labvla_policy.nodes.stamps import to_stamp
from labvla_policy.runtime.refusal import Refusal
from labvla_policy.runtime.types import NANOSECONDS

QUIET = NANOSECONDS  # the same reason about the same subject is told once in this time


class Cause(Protocol):
    """Why something happened: a Refusal, or what has the same fields."""

    @property
    def reason(self) -> str:
        """Stable name."""

    @property
    def detail(self) -> str:
        """What was expected, what came, what to do."""

    @property
    def subject(self) -> str:
        """What is concerned."""

    @property
    def value(self) -> float:
        """The offending figure."""

    @property
    def limit(self) -> float:
        """The bound that it broke."""


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

    def tell(self, severity: int, source: str, cause: Cause, t: int, sequence: int) -> None:
        """Publish an event, unless the same was told just now."""
        self.counts[source] += 1
        key = (cause.reason, cause.subject)
        if key in self._told and 0 <= t - self._told[key] < QUIET:
            self._held_back[key] += 1
            return
        self._told[key] = t
        count = 1 + self._held_back.pop(key, 0)
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

    def engine_fault(self, reason: str, detail: str, t: int) -> None:
        """Tell that the engine failed."""
        self.tell(
            SafetyEvent.REFUSED, "engine", Refusal(reason, detail, value=nan, limit=nan), t, 0
        )
