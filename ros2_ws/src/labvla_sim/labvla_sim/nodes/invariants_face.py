"""The monitor's ROS face: begin, report, end."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from rclpy.node import Node

from labvla_msgs.msg import Invariant
from labvla_msgs.srv import WatchInvariants

if TYPE_CHECKING:
    from labvla_sim.plant.controlled import ControlledCell
    from labvla_sim.tasks.trial import Trial

_ACTIONS = (
    WatchInvariants.Request.BEGIN,
    WatchInvariants.Request.REPORT,
    WatchInvariants.Request.END,
)


class InvariantsFace:
    """Offers the monitor of a controlled cell; `lock` keeps the plant from ticking meanwhile."""

    def __init__(self, node: Node, controlled: ControlledCell[Trial], lock: threading.Lock) -> None:
        self._controlled, self._lock = controlled, lock
        node.create_service(WatchInvariants, "sim/invariants", self._on_watch)

    def _on_watch(
        self, request: WatchInvariants.Request, response: WatchInvariants.Response
    ) -> WatchInvariants.Response:
        if request.action not in _ACTIONS:
            response.message = f"expected an action of {_ACTIONS}, got {request.action}"
            return response
        monitor = self._controlled.monitor
        with self._lock:
            if request.action == WatchInvariants.Request.BEGIN:
                monitor.begin(self._controlled.trial.sim.stamp)
            elif request.action == WatchInvariants.Request.END:
                monitor.end()
            found = monitor.report()
            afterwards = [monitor.after(instant) for instant in request.instants]
        response.invariants = [
            Invariant(
                name=one.name,
                joint=one.joint,
                value=one.value,
                limit=one.limit,
                time=one.time,
                violations=one.violations,
                first=one.first,
            )
            for one in found
        ]
        response.slowing_after = [after.slowing for after in afterwards]
        response.standing_after = [after.standing for after in afterwards]
        response.accepted = True
        return response
