"""franka_ros2: its error recovery, its hardware component, and the robot's mode."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rclpy.action import ActionClient
from rclpy.node import Node
from rclpy.serialization import deserialize_message

from labvla_policy.nodes import qos
from labvla_policy.nodes.robot_ports.manager import ControllerManager
from labvla_policy.nodes.robot_ports.requests import Requests
from labvla_policy.nodes.vendor import action_type, message_type, namespace_of
from labvla_policy.runtime.cell.arm import Arm
from labvla_policy.runtime.recovery import franka
from labvla_policy.runtime.recovery.state import Snapshot
from labvla_policy.runtime.report import Report

FRESH = 0.5  # s; the broadcaster tells at 1 kHz, and nothing at all once its hardware is gone
PATIENCE = 2.0  # s that it may be silent on active hardware: this computer may have been busy


class FrankaPort:
    """One FR3."""

    def __init__(self, node: Node, arm: Arm, manager: ControllerManager) -> None:
        self._manager, self._requests = manager, Requests()
        # The driver makes a namespace of an arm's prefix.
        place = namespace_of(arm.prefix)
        self._alone = not arm.prefix  # the driver starts no state broadcaster for two arms
        self._component = f"{arm.prefix}FrankaHardwareInterface"
        self._recovery_type = action_type("franka_msgs", "ErrorRecovery")
        self._recovery_name = f"{place}action_server/error_recovery"
        self._recovery = ActionClient(node, self._recovery_type, self._recovery_name)
        self._state_type = message_type("franka_msgs", "msg", "FrankaRobotState")
        self._newest: tuple[float, bytes] | None = None
        node.create_subscription(
            self._state_type,
            f"{place}franka_robot_state_broadcaster/robot_state",
            self._on_state,
            qos.RELIABLE,
            raw=True,  # a thousand a second: read when somebody wants to know
        )

    def snapshot(self) -> Snapshot:
        """Tell robot mode and hardware."""
        hardware = self._manager.hardware(self._component)
        if self._newest is None:
            return franka.snapshot(None, hardware, expected=self._alone)
        since, message = self._newest
        silent = time.monotonic() - since
        if silent > (PATIENCE if hardware == franka.ACTIVE else FRESH):
            return franka.snapshot(None, hardware)
        state = deserialize_message(message, self._state_type)
        found = state.last_motion_errors
        names = found.get_fields_and_field_types()
        errors = ", ".join(name for name in names if getattr(found, name) is True)
        return franka.snapshot(int(state.robot_mode), hardware, errors)

    def missing(self, call: str) -> str:
        """Return the action or service that nobody offers."""
        if call == "activate_hardware":
            return self._manager.missing_service("SetHardwareComponentState")
        return "" if self._recovery.server_is_ready() else self._recovery_name

    def ask(self, call: str) -> int:
        """Clear the error, or activate the hardware."""
        if call == "activate_hardware":
            return self._manager.activate_hardware(self._component, self._requests)
        return self._requests.send_to(self._recovery, self._recovery_type.Goal())

    def poll(self) -> Sequence[Report]:
        """Return what was reported."""
        return self._requests.poll()

    def _on_state(self, message: bytes) -> None:
        self._newest = (time.monotonic(), message)
