"""The robot node: watches the robots' modes, and makes them ready again when somebody asks.

It moves nothing. What it sees it tells on `labvla/robot`, without which the policy of a real cell
neither becomes active nor takes an instruction. A robot that stops by itself is held stopped, in
the controller and in the policy, until `labvla/recover` has been called.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from std_srvs.srv import Trigger

from labvla_msgs.msg import SafetyEvent
from labvla_policy.nodes import qos, run
from labvla_policy.nodes.diagnostics import Diagnostics
from labvla_policy.nodes.events import Events
from labvla_policy.nodes.parameters import ParameterError
from labvla_policy.nodes.robot_parameters import CELL, CONTROLLERS, FAKE
from labvla_policy.nodes.robot_ports.cell import CellPort
from labvla_policy.nodes.robot_ports.fake import FakePort
from labvla_policy.nodes.robot_ports.franka import FrankaPort
from labvla_policy.nodes.robot_ports.manager import ControllerManager
from labvla_policy.nodes.robot_ports.ur import UrPort
from labvla_policy.nodes.robot_status import TOPIC, RobotStatus, to_message
from labvla_policy.runtime.cell import load_cell
from labvla_policy.runtime.cell.arm import Arm, UrDriver
from labvla_policy.runtime.diagnosis import Finding, Level
from labvla_policy.runtime.gripping.driver import Grip
from labvla_policy.runtime.recovery import franka, ur
from labvla_policy.runtime.recovery.overview import Overview, finding, overview
from labvla_policy.runtime.recovery.payload import PayloadKeeper
from labvla_policy.runtime.recovery.port import RobotPort
from labvla_policy.runtime.recovery.recovery import Phase, Recovery
from labvla_policy.runtime.recovery.sequence import CELL as CELL_SUBJECT
from labvla_policy.runtime.recovery.sequence import Step, cell_steps
from labvla_policy.runtime.refusal import Refusal

STEP = 0.05  # s
STATUS_PERIOD = 0.2  # s; the policy stops when it hears nothing for a second


class RobotNode(Node):  # type: ignore[misc]  # rclpy has no types
    """The drivers of a cell's robots, on one thread: nothing of it waits."""

    def __init__(self) -> None:
        super().__init__("robot")
        self.cell = load_cell(CELL.read(self))
        fake = FAKE.read(self)
        names = [name.strip() for name in CONTROLLERS.read(self).split(",") if name.strip()]
        controllers = tuple(names) or (self.cell.controller.name,)
        without = [arm.name for arm in self.cell.arms if arm.driver is None]
        if without and not fake:
            raise ParameterError(
                f"{self.cell.name}: expected a `driver` for {', '.join(without)}, got none: "
                "docs/cells.md explains it"
            )
        manager = ControllerManager(self, controllers)
        self._ports: dict[str, RobotPort] = {}
        ours = self.cell.controller.name
        sequences: dict[str, tuple[Step, ...]] = {CELL_SUBJECT: cell_steps(controllers)}
        self._payloads: dict[str, tuple[PayloadKeeper, UrPort]] = {}
        for arm in self.cell.arms:
            if fake:
                self._ports[arm.name], sequences[arm.name] = FakePort(manager), ()
            elif isinstance(arm.driver, UrDriver):
                sequences[arm.name] = ur.steps(arm.name, arm.driver.program)
                self._ports[arm.name] = self._ur(arm, arm.driver, manager)
            else:
                sequences[arm.name] = franka.steps(arm.name)
                self._ports[arm.name] = FrankaPort(self, arm, manager)
        # After the arms: what halts one of them halts the controllers, too.
        self._ports[CELL_SUBJECT] = CellPort(self, manager, ours)
        self._recovery = Recovery(self._ports, sequences)
        self._events = Events(self)
        self._controller_stop = self.create_client(Trigger, f"{ours}/stop")
        self._seen: Overview | None = None
        self._told = (float("-inf"), RobotStatus(""))
        self._publisher = self.create_publisher(DiagnosticStatus, TOPIC, qos.LATCHED)
        for name, action in (
            ("recover", self._recovery.begin),
            ("confirm_recovery", self._recovery.confirm),
            ("cancel_recovery", self._recovery.cancel),
        ):
            self.create_service(Trigger, f"labvla/{name}", partial(self._answer, action))
        self.create_subscription(DiagnosticArray, "labvla/grips", self._on_grips, qos.LATCHED)
        self._diagnostics = Diagnostics(self, self.cell.name, self._find)
        self.create_timer(STEP, self._step, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self.get_logger().info(f"watches {', '.join(arm.name for arm in self.cell.arms)}")

    def _ur(self, arm: Arm, driver: UrDriver, manager: ControllerManager) -> UrPort:
        port = UrPort(self, arm, manager)
        keeper = PayloadKeeper(arm.payload, driver.payload_held)
        self._payloads[arm.name] = (keeper, port)
        return port

    def _answer(
        self,
        action: Callable[[int], tuple[bool, str]],
        _request: Trigger.Request,
        response: Trigger.Response,
    ) -> Trigger.Response:
        response.success, response.message = action(time.monotonic_ns())
        self.get_logger().info(response.message)
        self._step()  # who asked finds the status of what was begun, not of what was before
        return response

    # Watching

    def _step(self) -> None:
        t = time.monotonic_ns()
        before = self._recovery.progress
        self._recovery.step(t)
        if self._recovery.progress != before:
            self.get_logger().info(f"recovery: {self._recovery.progress.text}")
        snapshots = {name: port.snapshot() for name, port in self._ports.items()}
        seen = overview(snapshots)
        self._notice(seen)
        for name, (keeper, port) in self._payloads.items():
            self._tell_payload(name, keeper, port, snapshots[name].halt is not None, t)
        self._publish(seen, {name: found.words for name, found in snapshots.items()})

    def _notice(self, seen: Overview) -> None:
        """Stop the controller when the robot has stopped; the policy stops by what it hears."""
        before, self._seen = self._seen, seen
        moved = before is not None and before.halt is None
        if seen.halt is None or not moved:
            return
        if self._controller_stop.service_is_ready():
            self._controller_stop.call_async(Trigger.Request())
        refusal = Refusal(seen.halt.value, f"{seen.words}; {seen.halt.remedy}", seen.subject)
        self._events.tell(SafetyEvent.STOPPED, refusal.source, refusal, self._now(), 0)

    def _publish(self, seen: Overview, states: dict[str, str]) -> None:
        progress = self._recovery.progress
        active = progress.phase in (Phase.RUNNING, Phase.WAITING)
        status = RobotStatus(
            cell=self.cell.name,
            cell_hash=self.cell.hash,
            ready=seen.halt is None,
            line=progress.text if active else seen.words,
            reason=seen.halt.value if seen.halt else "",
            subject=seen.subject,
            recovery=progress.phase.value,
            step=f"{progress.step} of {progress.steps}" if progress.steps else "",
            doing=progress.text,
            confirm=progress.confirm,
            states=states,
        )
        since, told = self._told
        if status != told or time.monotonic() - since >= STATUS_PERIOD:
            self._told = (time.monotonic(), status)
            self._publisher.publish(to_message(status, self.get_fully_qualified_name()))

    def _find(self, _t: int) -> list[Finding]:
        recovery = self._recovery.progress
        return [
            *(finding(name, port.snapshot()) for name, port in self._ports.items()),
            Finding(
                "recovery",
                Level.WARN if recovery.phase is Phase.FAILED else Level.OK,
                recovery.text or recovery.phase.value,
            ),
        ]

    def _now(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    # Payload

    def _on_grips(self, message: DiagnosticArray) -> None:
        held = {status.name: status.message == Grip.GRASPED.value for status in message.status}
        for arm in self.cell.arms:
            if arm.name in self._payloads and arm.gripper_name in held:
                self._payloads[arm.name][0].grip(held[arm.gripper_name])

    def _tell_payload(
        self, name: str, keeper: PayloadKeeper, port: UrPort, halted: bool, t: int
    ) -> None:
        if not halted and not port.offers_payload():
            return
        payload = keeper.due(halted, t)
        if payload is not None:
            future = port.set_payload(payload)
            future.add_done_callback(partial(self._on_payload, name, keeper))

    def _on_payload(self, name: str, keeper: PayloadKeeper, future: Any) -> None:
        done = future.exception() is None and bool(future.result().success)
        keeper.answered(done)
        if not done:
            detail = "set_payload was answered with failure; it is tried again"
            self._events.refused(Refusal("payload_refused", detail, name), self._now())

    def end(self) -> None:
        """Leave the robots as they are."""


def main() -> int:
    """Run the node until it is interrupted."""
    return run.main_of(RobotNode)
