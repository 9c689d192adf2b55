"""ur_robot_driver: its dashboard, the state helper, and the robot's latched modes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from geometry_msgs.msg import Vector3
from rclpy.action import ActionClient
from rclpy.node import Node
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from labvla_policy.nodes import qos
from labvla_policy.nodes.robot_ports.manager import ControllerManager
from labvla_policy.nodes.robot_ports.requests import Requests
from labvla_policy.nodes.vendor import action_type, message_type, namespace_of
from labvla_policy.runtime.cell.arm import Arm, Payload
from labvla_policy.runtime.recovery import ur
from labvla_policy.runtime.recovery.state import Halt, Snapshot
from labvla_policy.runtime.report import Report

RUNNING = 7  # of ur_dashboard_msgs/RobotMode


class UrPort:
    """One UR."""

    def __init__(self, node: Node, arm: Arm, manager: ControllerManager) -> None:
        self._manager, self._requests = manager, Requests()
        # Two arms have a dashboard each, in a namespace; their controllers share one manager.
        place, io = namespace_of(arm.prefix), f"{arm.prefix}io_and_status_controller"
        dashboard = f"{place}dashboard_client"
        self._triggers = {
            "stop_program": node.create_client(Trigger, f"{dashboard}/stop"),
            "unlock": node.create_client(Trigger, f"{dashboard}/unlock_protective_stop"),
            "play": node.create_client(Trigger, f"{dashboard}/play"),
            "resend_program": node.create_client(Trigger, f"{io}/resend_robot_program"),
        }
        self._mode_type = action_type("ur_dashboard_msgs", "SetMode")
        self._mode_name = f"{place}ur_robot_state_helper/set_mode"
        self._set_mode = ActionClient(node, self._mode_type, self._mode_name)
        self._payload_type = message_type("ur_msgs", "srv", "SetPayload")
        self._payload = node.create_client(self._payload_type, f"{io}/set_payload")
        self._robot: int | None = None
        self._safety: int | None = None
        self._program: bool | None = None
        for kind, name, take in (
            (message_type("ur_dashboard_msgs", "msg", "RobotMode"), "robot_mode", self._on_robot),
            (
                message_type("ur_dashboard_msgs", "msg", "SafetyMode"),
                "safety_mode",
                self._on_safety,
            ),
            (Bool, "robot_program_running", self._on_program),
        ):
            node.create_subscription(kind, f"{io}/{name}", take, qos.LATCHED)

    def snapshot(self) -> Snapshot:
        """Tell the modes; latched ones outlive their driver, the manager's answers do not."""
        if not self._manager.heard:
            return Snapshot(Halt.SILENT, "the controller_manager does not answer")
        return ur.snapshot(self._robot, self._safety, self._program)

    def missing(self, call: str) -> str:
        """Return the action or service that nobody offers."""
        if call == "set_mode":
            return "" if self._set_mode.server_is_ready() else self._mode_name
        client = self._triggers[call]
        return "" if client.service_is_ready() else str(client.srv_name)

    def ask(self, call: str) -> int:
        """Send one of the requests."""
        if call == "set_mode":
            goal = self._mode_type.Goal(
                target_robot_mode=RUNNING, stop_program=True, play_program=False
            )
            return self._requests.send_to(self._set_mode, goal)
        return self._requests.call(self._triggers[call], Trigger.Request())

    def poll(self) -> Sequence[Report]:
        """Return what was reported."""
        return self._requests.poll()

    def offers_payload(self) -> bool:
        """Whether the payload can be set."""
        return bool(self._payload.service_is_ready())

    def set_payload(self, payload: Payload) -> Any:
        """Ask for another payload; return the future of the answer."""
        x, y, z = payload.com
        request = self._payload_type.Request(
            mass=float(payload.mass), center_of_gravity=Vector3(x=x, y=y, z=z)
        )
        return self._payload.call_async(request)

    def _on_robot(self, message: Any) -> None:
        self._robot = int(message.mode)

    def _on_safety(self, message: Any) -> None:
        self._safety = int(message.mode)

    def _on_program(self, message: Bool) -> None:
        self._program = bool(message.data)
