"""The controller's ROS face in the simulated cell: the same names as on a robot."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from rclpy.node import Node
from std_srvs.srv import Trigger

from labvla_control import Chunk, Mode, State, Verdict
from labvla_msgs.msg import ActionChunk, ControllerState, GripperSetpoints, SafetyEvent
from labvla_policy.nodes import qos
from labvla_policy.nodes.stamps import to_ns, to_stamp

if TYPE_CHECKING:
    from labvla_policy.runtime.cell import Cell
    from labvla_sim.plant.controlled import ControlledCell
    from labvla_sim.tasks.trial import Trial

_MODES = {
    Mode.HOLD: ControllerState.HOLD,
    Mode.TRACKING: ControllerState.TRACKING,
    Mode.STOPPING: ControllerState.STOPPING,
    Mode.STOPPED: ControllerState.STOPPED,
    Mode.PAUSED: ControllerState.PAUSED,
    Mode.FAULT: ControllerState.FAULT,
}

_STOPS = {  # in the words of the controller on a robot
    "end_of_data": "the plan came to its end and nothing newer was accepted",
    "blind_limit": "no chunk was accepted for as long as a plan may be executed blindly",
    "requested": "a stop was requested; it is latched until reset_stop",
    "paused": "paused on request",
    "tracking_error": "a joint did not follow its command; latched until reset_stop",
}


class ControllerFace:
    """Feeds chunks to the controller, offers its services, publishes its state."""

    def __init__(
        self,
        node: Node,
        cell: Cell,
        controlled: ControlledCell[Trial],
        clock: Callable[[], int],
        on_chunk: Callable[[int, int], None] = lambda _session, _sequence: None,
    ) -> None:
        """Prepare; `on_chunk` hears of every chunk that the controller has judged."""
        self._on_judged = on_chunk
        self._node, self._cell, self._controlled, self._clock = node, cell, controlled, clock
        self._grippers = [arm.gripper_name for arm in cell.arms]
        self._refused = 0
        self._stops: dict[str, int] = {}
        name = cell.controller.name
        self._states = node.create_publisher(ControllerState, f"{name}/state", qos.RELIABLE)
        self._setpoints = node.create_publisher(GripperSetpoints, f"{name}/gripper", qos.RELIABLE)
        self._events = node.create_publisher(SafetyEvent, "labvla/events", qos.RELIABLE)
        node.create_subscription(ActionChunk, "labvla/action_chunk", self._on_chunk, qos.RELIABLE)
        for verb, action in (
            ("stop", controlled.stop),
            ("reset_stop", controlled.reset_stop),
            ("pause", controlled.pause),
            ("resume", controlled.resume),
        ):
            node.create_service(Trigger, f"{name}/{verb}", self._answer(verb, action))
        self._lock = threading.Lock()

    def _answer(
        self, verb: str, action: Callable[[], None]
    ) -> Callable[[Trigger.Request, Trigger.Response], Trigger.Response]:
        def answer(_request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            action()
            response.success, response.message = True, f"{verb}: asked of the controller"
            return response

        return answer

    def _on_chunk(self, message: ActionChunk) -> None:
        self._judge(message)
        self._on_judged(message.session, message.sequence)

    def _judge(self, message: ActionChunk) -> None:
        try:
            chunk = _chunk(message)
        except ValueError as error:
            self._refuse("bad_shape", str(error), "", message.sequence)
            return
        with self._lock:
            verdict = self._controlled.submit(chunk, self._clock())
        if not verdict.accepted:
            joint = self._cell.joints[verdict.joint] if verdict.joint >= 0 else ""
            self._refuse(
                verdict.refusal.name.lower(), str(verdict), joint, message.sequence, verdict
            )

    def _refuse(
        self, reason: str, detail: str, joint: str, sequence: int, verdict: Verdict | None = None
    ) -> None:
        self._refused += 1
        event = self._event(SafetyEvent.REFUSED, reason, detail, sequence)
        event.joint = joint
        if verdict is not None:
            event.value, event.limit = verdict.value, verdict.expected
        self._events.publish(event)

    def _tell_stops(self, control: State) -> None:
        stops = control.stops
        # Counters start over at activation.
        fresh = {
            r: n - self._stops.get(r, 0) for r, n in stops.items() if n > self._stops.get(r, 0)
        }
        self._stops = stops
        for reason, count in fresh.items():
            detail = _STOPS.get(reason, "a precondition is lost")
            event = self._event(SafetyEvent.STOPPED, reason, detail, control.sequence)
            event.count = count
            self._events.publish(event)

    def _event(self, severity: int, reason: str, detail: str, sequence: int) -> SafetyEvent:
        return SafetyEvent(
            stamp=to_stamp(self._clock()),
            severity=severity,
            source="controller",
            reason=reason,
            detail=detail,
            value=float("nan"),
            limit=float("nan"),
            sequence=sequence,
            count=1,
        )

    def publish(self, stamp: int, control: State) -> None:
        """Publish state and gripper set-points, and tell of stops since the last time."""
        self._tell_stops(control)
        counters = self._controlled.controller.counters()
        widths = np.asarray(self._controlled.widths(control), dtype=np.float64)
        reason = control.stop_reason.name.lower()
        self._states.publish(
            ControllerState(
                stamp=to_stamp(stamp),
                mode=_MODES[control.mode],
                stop_reason="" if reason == "none" else reason,
                joint_names=self._cell.joints,
                reference_positions=control.position,
                reference_velocities=control.velocity,
                reference_accelerations=control.acceleration,
                measured_positions=control.measured_position,
                measured_velocities=control.measured_velocity,
                commands=control.command,
                gripper_names=self._grippers,
                gripper_targets=widths,
                session=control.session,
                sequence=control.sequence,
                chunk_age=control.chunk_age,
                plan_remaining=control.plan_remaining,
                blend=control.blend,
                deviation=control.deviation,
                speed_scaling=control.speed_scaling,
                chunks_accepted=counters["accepted"],
                chunks_refused=self._refused,
                rows_skipped=counters["rows_skipped"],
                splices=control.splices,
                samples_limited=control.samples_limited,
                stops=sum(control.stops.values()),
            )
        )
        self._setpoints.publish(
            GripperSetpoints(
                stamp=to_stamp(stamp),
                gripper_names=self._grippers,
                targets=widths,
                holding=control.mode is not Mode.TRACKING,
            )
        )


def _chunk(message: ActionChunk) -> Chunk:
    rows = message.rows
    shape = (rows, len(message.joint_names))
    if rows == 0 or len(message.joint_targets) != rows * len(message.joint_names):
        raise ValueError(f"expected {shape} joint targets, got {len(message.joint_targets)}")
    grippers = len(message.gripper_names)
    if len(message.gripper_targets) != rows * grippers:
        raise ValueError(f"expected {rows} x {grippers} gripper targets")
    targets = np.asarray(message.joint_targets, dtype=np.float64).reshape(shape)
    widths = np.asarray(message.gripper_targets, dtype=np.float64).reshape(rows, grippers)
    return Chunk(
        list(message.joint_names),
        targets,
        message.dt,
        plan_start_ns=to_ns(message.plan_start),
        observation_ns=to_ns(message.observation_stamp),
        session=message.session,
        sequence=message.sequence,
        gripper_names=list(message.gripper_names),
        gripper_targets=widths if grippers else None,
    )
