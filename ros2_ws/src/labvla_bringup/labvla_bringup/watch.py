"""Counts and measures what a running stack does, from outside."""

from __future__ import annotations

from collections.abc import Collection
from math import nan

import numpy as np

from labvla_bringup.graph import Graph
from labvla_msgs.msg import ActionChunk, ObservationUsed, PolicyStatus, SafetyEvent
from labvla_policy.nodes import qos


class Watch:
    """Listens to chunks, observations, status and events while the graph is spun."""

    def __init__(self, graph: Graph) -> None:
        self._sequences: list[int] = []
        self._latencies: list[float] = []
        self._skews: list[float] = []
        self._events: dict[str, int] = {}
        self.controller_refused = 0  # chunks that the controller refused
        self._status: PolicyStatus | None = None
        node = graph.node
        for kind, topic, handler in (
            (ActionChunk, "labvla/action_chunk", self._on_chunk),
            (ObservationUsed, "labvla/observation_used", self._on_observation),
            (PolicyStatus, "labvla/status", self._on_status),
            (SafetyEvent, "labvla/events", self._on_event),
        ):
            node.create_subscription(kind, topic, handler, qos.RELIABLE)

    def _on_chunk(self, chunk: ActionChunk) -> None:
        self._sequences.append(chunk.sequence)
        self._latencies.append(chunk.inference_latency)

    def _on_observation(self, used: ObservationUsed) -> None:
        self._skews.append(used.skew)

    def _on_status(self, status: PolicyStatus) -> None:
        self._status = status

    def _on_event(self, event: SafetyEvent) -> None:
        key = f"{event.source}: {event.reason}"
        self._events[key] = self._events.get(key, 0) + event.count
        if event.source == "controller" and event.severity == SafetyEvent.REFUSED:
            self.controller_refused += event.count

    @property
    def sequences(self) -> frozenset[int]:
        """The chunks that came here."""
        return frozenset(self._sequences)

    def heard_all(self, recorded: Collection[int]) -> bool:
        """Whether just the recorded chunks came here, from the first that both have heard on."""
        if not self._sequences or not recorded:
            return False
        # Right after a stack has come up, either may be discovered after the first chunks.
        first = max(min(self._sequences), min(recorded))
        kept = {number for number in recorded if number >= first}
        return kept == {number for number in self._sequences if number >= first}

    @property
    def chunks_lost(self) -> int:
        """Chunks between the first and the last that did not come here."""
        if not self._sequences:
            return 0
        return self._sequences[-1] - self._sequences[0] + 1 - len(self._sequences)

    def figures(self) -> dict[str, str]:
        """Return what was measured, for people."""
        status = self._status
        cameras = status.cameras if status else []
        return {
            "chunks": str(len(self._sequences)),
            "observation to chunk, p50 / p99": f"{_quantiles(self._latencies)} ms",
            "camera and state skew, p50 / p99": f"{_quantiles(self._skews)} ms",
            "cameras": ", ".join(f"{c.camera} {c.rate:.1f} Hz" for c in cameras),
            "frames lost": str(sum(c.lost for c in cameras)),
            "events": ", ".join(f"{k} ({n})" for k, n in sorted(self._events.items())) or "none",
        }


def _quantiles(seconds: list[float]) -> str:
    values = np.quantile(seconds, [0.5, 0.99]) * 1e3 if seconds else (nan, nan)
    return " / ".join(f"{value:.1f}" for value in values)
