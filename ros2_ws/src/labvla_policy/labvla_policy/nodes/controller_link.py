"""The controller as the policy node sees it: its states, and its services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from rclpy.node import Node
from std_srvs.srv import Trigger

from labvla_msgs.msg import ControllerState
from labvla_policy.nodes import qos
from labvla_policy.nodes.events import Events
from labvla_policy.nodes.stamps import to_ns
from labvla_policy.runtime.cell import Cell
from labvla_policy.runtime.reference import Mode, Reference, ReferenceHistory
from labvla_policy.runtime.refusal import Refusal, Refused
from labvla_policy.runtime.types import NANOSECONDS

_MODES = {getattr(ControllerState, mode.name): mode for mode in Mode}


class ControllerLink:
    """Keeps the controller's last states, and passes requests on to it."""

    def __init__(self, node: Node, cell: Cell, events: Events) -> None:
        name = cell.controller.name
        self._events = events
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
        try:
            reference = reference_of(message, self._joints)
        except Refused as refused:
            self._events.refused(refused.refusal, to_ns(message.stamp))
            return
        self._newest = message
        self.references.add(reference)


def reference_of(message: ControllerState, joints: Sequence[str]) -> Reference:
    """Return what a state says of the joints, or raise why it is of no use."""
    names = list(message.joint_names)
    missing = [joint for joint in joints if joint not in names]
    if missing:
        raise _useless(f"expected {', '.join(joints)}; there is no {', '.join(missing)}")
    if message.mode not in _MODES:
        raise _useless(f"expected a mode of {', '.join(map(str, _MODES))}, got {message.mode}")
    order = [names.index(joint) for joint in joints]
    columns = {}
    for field in ("reference_positions", "reference_velocities", "measured_positions"):
        values = np.asarray(getattr(message, field))
        if len(values) != len(names):
            raise _useless(f"expected {len(names)} {field}, as many as names, got {len(values)}")
        columns[field] = values[order]
    for field in ("reference_positions", "reference_velocities"):
        if not np.isfinite(columns[field]).all():
            raise _useless(f"{field}: not all are finite numbers")
    return Reference(
        to_ns(message.stamp),
        columns["reference_positions"],
        columns["reference_velocities"],
        round(message.plan_remaining * NANOSECONDS),
        _MODES[message.mode],
        columns["measured_positions"],
        message.speed_scaling,
    )


def _useless(detail: str) -> Refused:
    return Refused(Refusal("controller_state", f"{detail}: is it the controller of this cell?"))
