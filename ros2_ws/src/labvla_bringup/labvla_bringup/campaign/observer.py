"""What a running cell says of itself: events, status, and how the controller's reference moves."""

from __future__ import annotations

import numpy as np

from labvla_bringup.graph import Graph
from labvla_msgs.msg import ActionChunk, ControllerState, PolicyStatus, SafetyEvent
from labvla_policy.nodes import qos
from labvla_policy.runtime.cell import Cell

MOVING = 0.05  # rad/s
STANDING = 1e-3


class Observer:
    """Listens while the graph is spun."""

    def __init__(self, graph: Graph, cell: Cell) -> None:
        self.reasons: list[str] = []  # of all events since they were last forgotten
        self.status: PolicyStatus | None = None
        self.state: ControllerState | None = None
        self.followed = ""  # instruction of the newest chunk
        node = graph.node
        state = f"{cell.controller.name}/state"
        node.create_subscription(SafetyEvent, "labvla/events", self._on_event, qos.RELIABLE)
        node.create_subscription(PolicyStatus, "labvla/status", self._on_status, qos.RELIABLE)
        node.create_subscription(ControllerState, state, self._on_state, qos.RELIABLE)
        node.create_subscription(ActionChunk, "labvla/action_chunk", self._on_chunk, qos.RELIABLE)

    def _on_event(self, event: SafetyEvent) -> None:
        self.reasons.append(event.reason)

    def _on_status(self, status: PolicyStatus) -> None:
        self.status = status

    def _on_state(self, state: ControllerState) -> None:
        self.state = state

    def _on_chunk(self, chunk: ActionChunk) -> None:
        self.followed = chunk.instruction

    @property
    def speed(self) -> float:
        """Speed of the fastest joint of the reference, rad/s; 0 before it is known."""
        if self.state is None:
            return 0.0
        return float(np.abs(self.state.reference_velocities).max(initial=0.0))

    @property
    def moving(self) -> bool:
        """Whether the reference moves."""
        return self.speed > MOVING

    @property
    def standing(self) -> bool:
        """Whether the reference stands still and is known to."""
        resting = (ControllerState.HOLD, ControllerState.STOPPED, ControllerState.PAUSED)
        return self.state is not None and self.speed < STANDING and self.state.mode in resting

    @property
    def active(self) -> bool:
        """Whether the policy is ready for instructions."""
        return self.status is not None and self.status.state == PolicyStatus.ACTIVE
