"""What is no arm's own: the controllers, and the stop that the stack latched."""

from __future__ import annotations

from collections.abc import Sequence

from rclpy.client import Client
from rclpy.node import Node
from std_srvs.srv import Trigger

from labvla_policy.nodes.robot_ports.manager import ControllerManager
from labvla_policy.runtime.recovery.state import Snapshot
from labvla_policy.runtime.report import Report


class CellPort:
    """The end of every recovery."""

    def __init__(self, node: Node, manager: ControllerManager, controller: str) -> None:
        self._manager = manager
        # The policy clears its own stop and the controller's. Where no policy runs, the
        # controller's is all there is.
        self._resets = tuple(
            node.create_client(Trigger, f"{who}/reset_stop") for who in ("labvla", controller)
        )

    def snapshot(self) -> Snapshot:
        """Tell whether the controllers are active."""
        return self._manager.snapshot()

    def missing(self, call: str) -> str:
        """Return the service that nobody offers."""
        if call == "activate_controllers":
            return self._manager.missing_service("SwitchController")
        return "" if self._reset() else " or ".join(str(c.srv_name) for c in self._resets)

    def ask(self, call: str) -> int:
        """Activate the controllers, or have the stop cleared."""
        if call == "activate_controllers":
            return self._manager.activate_controllers()
        return self._manager.requests.call(self._reset(), Trigger.Request())

    def _reset(self) -> Client | None:
        return next((client for client in self._resets if client.service_is_ready()), None)

    def poll(self) -> Sequence[Report]:
        """Return what was reported."""
        return self._manager.requests.poll()
