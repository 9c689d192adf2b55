"""What a running stack tells of an episode: plans, refusals, stops, and the true state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from std_msgs.msg import String

from labvla_bringup.graph import Graph
from labvla_msgs.msg import ActionChunk, PolicyStatus, SafetyEvent
from labvla_policy.nodes import qos
from labvla_policy.nodes.stamps import to_ns
from labvla_policy.runtime.types import NANOSECONDS
from labvla_sim.truth_text import SceneTruth, from_text


@dataclass(frozen=True)
class Heard:
    """Until some moment of an episode."""

    chunks: int
    last_plan: float | None  # s since the reset
    refused: Counter[str]
    stops: Counter[str]


class Listener:
    """Listens while the graph is spun. Times count from the episode's reset."""

    def __init__(self, graph: Graph) -> None:
        self.status: PolicyStatus | None = None
        self._on_truth: Callable[[SceneTruth], None] | None = None
        self._begin: int | None = None  # ns on the stack's clock
        self._plans: list[int] = []  # ns, when their observations were made
        self._events: list[SafetyEvent] = []
        for kind, topic, handler in (
            (ActionChunk, "labvla/action_chunk", self._on_chunk),
            (SafetyEvent, "labvla/events", self._on_event),
            (PolicyStatus, "labvla/status", self._on_status),
            (String, "sim/truth", self._on_text),
        ):
            graph.node.create_subscription(kind, topic, handler, qos.RELIABLE)

    @property
    def active(self) -> bool:
        """Whether the policy is ready for instructions."""
        return self.status is not None and self.status.state == PolicyStatus.ACTIVE

    def begin(self, on_truth: Callable[[SceneTruth], None]) -> None:
        """Forget what was; from now on hand the true state over."""
        self._plans.clear()
        self._events.clear()
        self._begin, self._on_truth = None, on_truth

    def until(self, end: float) -> Heard:
        """Return what was heard until a moment (s since the reset)."""
        begin = self._begin or 0
        last = begin + round(end * NANOSECONDS)
        plans = [stamp for stamp in self._plans if begin <= stamp <= last]
        events = [event for event in self._events if begin <= to_ns(event.stamp) <= last]
        refused, stops = Counter[str](), Counter[str]()
        for event in events:
            if event.severity == SafetyEvent.STOPPED:
                stops[event.reason] += event.count
            elif event.severity in (SafetyEvent.LIMITED, SafetyEvent.REFUSED):
                refused[f"{event.source}: {event.reason}"] += event.count
        newest = (max(plans) - begin) / NANOSECONDS if plans else None
        return Heard(len(plans), newest, refused, stops)

    def _on_chunk(self, chunk: ActionChunk) -> None:
        self._plans.append(to_ns(chunk.observation_stamp))

    def _on_event(self, event: SafetyEvent) -> None:
        self._events.append(event)

    def _on_status(self, status: PolicyStatus) -> None:
        self.status = status

    def _on_text(self, message: String) -> None:
        if self._on_truth is None:
            return
        told = from_text(message.data)
        self._begin = told.stamp - round(told.truth.time * NANOSECONDS)
        self._on_truth(told)
