"""The controller as the policy node sees it: its states, and its services."""

from __future__ import annotations

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

    def _on_state(self, message: ControllerState) -> None:
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
