"""The gripper bridge: set-points of the controller in, goals of the grippers' own drivers out.

It owns the grippers' hardware interface. A simulated cell needs none: there the controller moves
the fingers itself.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import JointState

from labvla_msgs.msg import GripperSetpoints
from labvla_policy.nodes import qos, run
from labvla_policy.nodes.diagnostics import Diagnostics
from labvla_policy.nodes.events import Events
from labvla_policy.nodes.gripper_bridge_parameters import (
    CELL,
    DEADBAND,
    DEBOUNCE,
    RELEASE,
    RETRIES,
)
from labvla_policy.nodes.gripper_ports import port_of
from labvla_policy.runtime.cell import load_cell
from labvla_policy.runtime.diagnosis import PERIOD, Finding, Level
from labvla_policy.runtime.event_log import Noted
from labvla_policy.runtime.grippers import opening_of_joint
from labvla_policy.runtime.gripping.demand import DemandSettings
from labvla_policy.runtime.gripping.driver import DriverSettings, Grip, GripperDriver
from labvla_policy.runtime.joint_sample import select_positions
from labvla_policy.runtime.refusal import Refusal, Refused
from labvla_policy.runtime.streams import cdr

STEP = 0.02  # s


class GripperBridgeNode(Node):  # type: ignore[misc]  # rclpy has no types
    """One driver for each arm's gripper, on one thread: nothing of it waits."""

    def __init__(self) -> None:
        super().__init__("gripper_bridge")
        self.cell = load_cell(CELL.read(self))
        demand = DemandSettings(deadband=DEADBAND.read(self), debounce=DEBOUNCE.read(self))
        settings = DriverSettings(
            demand=demand, release=RELEASE.read(self), retries=RETRIES.read(self)
        )
        self._events = Events(self)
        self._drivers = {
            arm.gripper_name: GripperDriver(
                arm.gripper_name, arm.gripper, port_of(self, arm.gripper), self, settings
            )
            for arm in self.cell.arms
        }
        self.create_subscription(
            GripperSetpoints,
            f"{self.cell.controller.name}/gripper",
            self._on_setpoints,
            qos.RELIABLE,
        )
        # UR's fingers come with the arm's joints at 500 Hz: messages stay serialised until a step.
        self._states: dict[str, bytes] = {}
        for topic in {arm.gripper.state_topic for arm in self.cell.arms}:
            keep = partial(self._states.__setitem__, topic)
            self.create_subscription(JointState, topic, keep, qos.JOINT_STATES, raw=True)
        self._told: tuple[Grip, ...] = ()
        self._grips = self.create_publisher(DiagnosticArray, "labvla/grips", qos.LATCHED)
        self._diagnostics = Diagnostics(self, self.cell.name, self._find)
        self.create_timer(STEP, self._step, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self.get_logger().info(f"drives {', '.join(self._drivers)} of {self.cell.name}")

    def refused(self, refusal: Refusal, _t: int) -> None:
        """Tell what a gripper did not do; drivers count on a clock of their own."""
        self._events.refused(refusal, self._now())

    def _now(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _on_setpoints(self, message: GripperSetpoints) -> None:
        t = time.monotonic_ns()
        names, targets = message.gripper_names, message.targets
        unknown = [name for name in names if name not in self._drivers]
        if unknown or len(names) != len(targets):
            expected = f"expected one target for each of {', '.join(self._drivers)}"
            detail = f"{expected}, got {', '.join(names) or 'none'} with {len(targets)} targets"
            self.refused(Refusal("gripper_setpoint", detail, "".join(unknown[:1])), t)
            return
        for name, target in zip(names, targets, strict=True):
            self._drivers[name].hear(target, message.holding, t)

    def _step(self) -> None:
        for topic, message in list(self._states.items()):
            del self._states[topic]
            self._feel(topic, message)
        t = time.monotonic_ns()
        for driver in self._drivers.values():
            driver.step(t)
        self._tell_grips()

    def _tell_grips(self) -> None:
        """Tell at every change what the fingers do: an arm that carries has another payload."""
        grips = tuple(driver.grip for driver in self._drivers.values())
        if grips != self._told:
            self._told = grips
            statuses = [
                DiagnosticStatus(name=name, message=grip.value)
                for name, grip in zip(self._drivers, grips, strict=True)
            ]
            self._grips.publish(DiagnosticArray(status=statuses))

    def _feel(self, topic: str, message: bytes) -> None:
        """Tell the drivers how far their fingers are open."""
        try:
            joints = cdr.read_joint_state(message)
            for arm in self.cell.arms:
                gripper = arm.gripper
                if gripper.state_topic == topic and gripper.joint in joints.name:
                    joint = select_positions(joints.name, joints.position, (gripper.joint,))[0]
                    opening = opening_of_joint(gripper, float(joint), arm.gripper_name)
                    self._drivers[arm.gripper_name].feel(opening)
        except Refused as refused:
            self.refused(refused.refusal, time.monotonic_ns())

    def _find(self, t: int) -> list[Finding]:
        events = self._events.log.since(t - PERIOD)
        return [
            self._finding(name, [event for event in events if event.subject == name])
            for name in self._drivers
        ]

    def _finding(self, name: str, events: Sequence[Noted]) -> Finding:
        driver = self._drivers[name]
        values = {**asdict(driver.counters), "opening [m]": driver.opening}
        if driver.grip is Grip.FAILED:
            return Finding(name, Level.ERROR, "gripper_failed: given up", values)
        if events:
            return Finding(name, Level.WARN, str(events[-1]), values)
        if driver.opening is None:
            return Finding(name, Level.STALE, "gripper_state_missing: no state yet", values)
        return Finding(name, Level.OK, driver.grip.value, values)

    def end(self) -> None:
        """Leave the fingers as they are."""


def main() -> int:
    """Run the node until it is interrupted."""
    return run.main_of(GripperBridgeNode)
