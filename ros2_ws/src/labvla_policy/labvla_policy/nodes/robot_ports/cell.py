"""What is no arm's own: the controllers, and the stop that the stack latched."""

from __future__ import annotations

from collections.abc import Sequence

from rclpy.node import Node
from std_srvs.srv import Trigger

from labvla_policy.nodes.robot_ports.manager import ControllerManager
from labvla_policy.runtime.recovery.state import Snapshot
from labvla_policy.runtime.report import Report


class CellPort:
    """The end of every recovery."""

    def __init__(self, node: Node, manager: ControllerManager) -> None:
        self._manager = manager
        self._reset = node.create_client(Trigger, "labvla/reset_stop")

    def snapshot(self) -> Snapshot:
        """Tell whether the controllers are active."""
        return self._manager.snapshot()

    def missing(self, call: str) -> str:
        """Return the service that nobody offers."""
        if call == "activate_controllers":
            return self._manager.missing_service("SwitchController")
        return "" if self._reset.service_is_ready() else str(self._reset.srv_name)

    def ask(self, call: str) -> int:
        """Activate the controllers, or have the stop cleared."""
        if call == "activate_controllers":
            return self._manager.activate_controllers()
        return self._manager.requests.call(self._reset, Trigger.Request())

    def poll(self) -> Sequence[Report]:
        """Return what was reported."""
        return self._manager.requests.poll()
