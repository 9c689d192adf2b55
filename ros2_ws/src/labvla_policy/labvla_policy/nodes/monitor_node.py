"""The monitor node: what the stack says in, markers for rviz and Foxglove out.

It only listens. Everything that it draws is in the cell's own frame, from the cell file and the
controller's state: no tf is needed to see it.
"""

from __future__ import annotations

import time

import numpy as np
from builtin_interfaces.msg import Duration
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from visualization_msgs.msg import MarkerArray

from labvla_msgs.msg import ActionChunk, ControllerState, PolicyStatus, SafetyEvent
from labvla_policy.nodes import qos, run
from labvla_policy.nodes.controller_link import reference_of
from labvla_policy.nodes.marker_messages import everything_away, to_message
from labvla_policy.nodes.monitor_parameters import BODIES, CELL, RATE, TRAIL
from labvla_policy.nodes.stamps import to_ns
from labvla_policy.runtime.cell import load_cell
from labvla_policy.runtime.monitor.marks import Board
from labvla_policy.runtime.monitor.picture import Picture, PictureSettings
from labvla_policy.runtime.monitor.standing import Incident, PolicyState, RobotState
from labvla_policy.runtime.refusal import Refused
from labvla_policy.runtime.types import Prediction

MARKERS = "labvla/markers"
REPEAT = 1.0  # s: whoever begins to listen later sees the boxes, too
LIFETIME = Duration(sec=1)  # of what moves
CAMERA_AGE = 1.0  # s without a frame: the camera is shown as lost

_STATES = {
    getattr(PolicyStatus, name): name.lower()
    for name in ("UNCONFIGURED", "LOADING", "READY", "ACTIVE", "PAUSED", "STOPPED", "FAULT")
}


class MonitorNode(Node):  # type: ignore[misc]  # rclpy has no types
    """Translates; what is drawn is decided by Picture."""

    def __init__(self) -> None:
        super().__init__("monitor")
        self.cell = load_cell(CELL.read(self))
        settings = PictureSettings(trail=TRAIL.read(self), bodies=BODIES.read(self))
        period = 1.0 / RATE.read(self)
        self._picture = Picture(self.cell, settings)
        self._board: Board | None = None  # None while nobody looks
        self._publisher = self.create_publisher(MarkerArray, MARKERS, qos.RELIABLE)
        self._listen()
        # On a clock that always runs: a paused simulation is to be seen, too.
        self.create_timer(period, self._draw, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self.get_logger().info(f"draws {self.cell.name} at {1 / period:g} Hz")

    def _listen(self) -> None:
        state = f"{self.cell.controller.name}/state"
        for kind, topic, heard, profile in (
            (ActionChunk, "labvla/action_chunk", self._on_chunk, qos.RELIABLE),
            (ControllerState, state, self._on_state, qos.RELIABLE),
            (PolicyStatus, "labvla/status", self._on_policy, qos.RELIABLE),
            (SafetyEvent, "labvla/events", self._on_event, qos.RELIABLE),
            (DiagnosticStatus, "labvla/robot", self._on_robot, qos.LATCHED),
        ):
            self.create_subscription(kind, topic, heard, profile)

    def _now(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _draw(self) -> None:
        if self._publisher.get_subscription_count() == 0:
            self._board = None
            return
        if self._board is None:
            self._board = Board(REPEAT)
            # What a monitor before this one drew must not stay.
            self._publisher.publish(everything_away(self.cell.frame))
        marks = self._picture.marks(self._now())
        told, gone = self._board.update(marks, time.monotonic())
        self._publisher.publish(to_message(told, gone, self.cell.frame, LIFETIME))

    def _on_chunk(self, message: ActionChunk) -> None:
        plan = _plan_of(message)
        if plan is not None:
            self._picture.plan(plan, self._now())

    def _on_state(self, message: ControllerState) -> None:
        try:
            self._picture.state(reference_of(message, self.cell.joints))
        except Refused as refused:
            self.get_logger().warning(str(refused), throttle_duration_sec=5.0)

    def _on_policy(self, message: PolicyStatus) -> None:
        told = PolicyState(
            stamp=to_ns(message.stamp),
            state=_STATES.get(message.state, f"state {message.state}"),
            moves=message.motion_owner not in ("", "none"),
            instruction=message.instruction,
            owner=message.motion_owner,
            message=message.message,
        )
        lost = [c.camera for c in message.cameras if not c.age <= CAMERA_AGE]  # NaN: never seen
        self._picture.policy(told, lost)

    def _on_event(self, message: SafetyEvent) -> None:
        if message.severity < SafetyEvent.REFUSED:
            return
        self._picture.incident(
            Incident(
                to_ns(message.stamp), message.source, message.reason, message.joint, message.detail
            )
        )

    def _on_robot(self, message: DiagnosticStatus) -> None:
        ready = message.level == DiagnosticStatus.OK
        self._picture.robot(RobotState(self._now(), ready, message.message))

    def end(self) -> None:
        """Take everything away that was drawn."""
        self._publisher.publish(everything_away(self.cell.frame))


def _plan_of(message: ActionChunk) -> Prediction | None:
    """Return a plan; None for one that is broken, which the controller refuses by name."""
    rows = int(message.rows)
    targets = np.asarray(message.joint_targets)
    if rows == 0 or len(targets) != rows * len(message.joint_names):
        return None
    return Prediction(
        plan_start=to_ns(message.plan_start),
        dt=message.dt,
        joint_names=tuple(message.joint_names),
        joint_targets=targets.reshape(rows, -1),
        gripper_names=(),
        gripper_targets=np.empty((rows, 0)),
    )


def main() -> int:
    """Run the node until it is interrupted."""
    return run.main_of(MonitorNode)
