"""The controller as the policy node sees it: its states, and its services."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from rclpy.node import Node
from std_srvs.srv import Trigger

from labvla_msgs.msg import ControllerState
from labvla_policy.nodes import qos
from labvla_policy.nodes.stamps import to_ns
from labvla_policy.runtime.cell import Cell
from labvla_policy.runtime.reference import Mode, Reference, ReferenceHistory
from labvla_policy.runtime.types import NANOSECONDS

_MODES = {getattr(ControllerState, mode.name): mode for mode in Mode}


class ControllerLink:
    """Keeps the controller's last states, and passes requests on to it."""

    def __init__(self, node: Node, cell: Cell) -> None:
        name = cell.controller.name
        self._joints = cell.joints
        self.references = ReferenceHistory()
        self._newest: ControllerState | None = None
        node.create_subscription(ControllerState, f"{name}/state", self._on_state, qos.RELIABLE)
        self._clients = {
            verb: node.create_client(Trigger, f"{name}/{verb}")
            for verb in ("stop", "reset_stop", "pause", "resume")
        }

    def ask(self, verb: str) -> str:
        """Call a service without waiting; return what to add to a message if nobody offers it."""
        client = self._clients[verb]
        if not client.service_is_ready():
            return f"; no controller offers {client.srv_name}"
        client.call_async(Trigger.Request())
        return ""

    def counters(self) -> Mapping[str, object]:
        """Return what the controller counted until its newest state."""
        state = self._newest
        if state is None:
            return {}
        return {
            "stop reason": state.stop_reason,
            "chunks accepted": state.chunks_accepted,
            "chunks refused": state.chunks_refused,
            "rows skipped": state.rows_skipped,
            "splices": state.splices,
            "samples limited": state.samples_limited,
            "stops": state.stops,
            "deviation [rad]": f"{state.deviation:.4f}",
            "speed scaling": f"{state.speed_scaling:.2f}",
        }

    def _on_state(self, message: ControllerState) -> None:
        self._newest = message
        order = [message.joint_names.index(joint) for joint in self._joints]
        self.references.add(
            Reference(
                to_ns(message.stamp),
                np.asarray(message.reference_positions)[order],
                np.asarray(message.reference_velocities)[order],
                round(message.plan_remaining * NANOSECONDS),
                _MODES[message.mode],
                np.asarray(message.measured_positions)[order],
                message.speed_scaling,
            )
        )
