"""The controller bridge: our controller's topics and services in front of JTC or CRISP.

The policy node, the recorder and the grippers see what they always see: `<controller>/state`,
`<controller>/gripper`, and the services beside them. Where a plan may still go when nobody sends
one any more is decided here, so this node belongs beside the robot.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from std_srvs.srv import Trigger

from labvla_msgs.msg import ActionChunk, ControllerState, GripperSetpoints, SafetyEvent
from labvla_policy.nodes import qos, run
from labvla_policy.nodes.controller_bridge_parameters import CELL, CONTROLLERS, KIND, RATE
from labvla_policy.nodes.events import Events
from labvla_policy.nodes.inner_controllers import ImpedanceControllers, TrajectoryController
from labvla_policy.nodes.parameters import ParameterError
from labvla_policy.nodes.stamps import to_ns, to_stamp
from labvla_policy.runtime.adapters.bridge import Bridge, Cause, Plan, PlanRefused, State
from labvla_policy.runtime.adapters.trajectory import Reference, Shaping
from labvla_policy.runtime.cell import Cell, load_cell
from labvla_policy.runtime.reference import Mode
from labvla_policy.runtime.types import Prediction

SOURCE = "controller"
STOP_SHARE = 0.8  # of the operating acceleration: a stop begins on a path that is curved already
ENDING = 2.0  # s in which the arm comes to rest before the node goes

_Answer = tuple[bool, str]


class ControllerBridgeNode(Node):  # type: ignore[misc]  # rclpy has no types
    """Translates between messages and the bridge; everything is decided there."""

    def __init__(self) -> None:
        super().__init__("controller_bridge")
        self.cell = load_cell(CELL.read(self))
        kind, controllers = KIND.read(self), _names(CONTROLLERS.read(self))
        expected = len(self.cell.arms) if kind == "crisp" else 1
        if len(controllers) != expected:
            raise ParameterError(
                f"parameter controllers: {kind} expects {expected} for {self.cell.name}, got "
                f"{', '.join(controllers)}"
            )
        self._inner = (
            ImpedanceControllers(self, self.cell, controllers)
            if kind == "crisp"
            else TrajectoryController(self, self.cell, controllers[0])
        )
        self._bridge = Bridge(
            self._inner,
            {arm.gripper_name: arm.gripper.stroke for arm in self.cell.arms},
            shaping_of(self.cell),
        )
        self._events = Events(self)
        name = self.cell.controller.name
        self._states = self.create_publisher(ControllerState, f"{name}/state", qos.RELIABLE)
        self._setpoints = self.create_publisher(GripperSetpoints, f"{name}/gripper", qos.RELIABLE)
        self.create_subscription(ActionChunk, "labvla/action_chunk", self._on_chunk, qos.RELIABLE)
        for verb, action in (
            ("stop", self._stop),
            ("reset_stop", self._bridge.reset_stop),
            ("pause", self._pause),
            ("resume", self._bridge.resume),
        ):
            self.create_service(Trigger, f"{name}/{verb}", partial(self._answer, action))
        self.create_timer(
            1.0 / RATE.read(self), self._step, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )
        self.get_logger().info(f"moves {self.cell.name} with {', '.join(controllers)}")

    def _now(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    # In

    def _on_chunk(self, message: ActionChunk) -> None:
        t = self._now()
        try:
            self._bridge.submit(_plan(message), t)
        except PlanRefused as refused:
            self._events.tell(SafetyEvent.REFUSED, SOURCE, refused.cause, t, message.sequence)
            return
        self._inner.step(t)

    def _answer(
        self,
        action: Callable[[int], _Answer],
        _request: Trigger.Request,
        response: Trigger.Response,
    ) -> Trigger.Response:
        response.success, response.message = action(self._now())
        self._step()  # who asked finds the state of what was begun
        return response

    def _stop(self, t: int) -> _Answer:
        self._bridge.stop(t)
        return True, "stopping; latched until reset_stop"

    def _pause(self, t: int) -> _Answer:
        self._bridge.pause(t)
        return True, "pausing"

    # Out

    def _step(self) -> None:
        t = self._now()
        self._inner.step(t)
        state = self._bridge.step(t)
        for cause in self._news():
            self._events.tell(SafetyEvent.STOPPED, SOURCE, cause, t, state.sequence)
        if state.reference is None:
            return  # nothing was heard of the controller yet: silence is the truth
        self._states.publish(_state_message(state, state.reference, self.cell))
        self._setpoints.publish(
            GripperSetpoints(
                stamp=to_stamp(t),
                gripper_names=list(state.grippers),
                targets=list(state.grippers.values()),
                holding=state.mode is not Mode.TRACKING,
            )
        )

    def _news(self) -> list[Cause]:
        news, self._bridge.news = self._bridge.news, []
        return news

    def end(self) -> None:
        """Bring the arm to rest, unless it stands."""
        self._bridge.stop(self._now(), detail="the bridge ends")
        deadline = time.monotonic() + ENDING
        while self._bridge.step(self._now()).mode is Mode.STOPPING and time.monotonic() < deadline:
            self._inner.step(self._now())
            time.sleep(0.01)


def shaping_of(cell: Cell) -> Shaping:
    """Return how plans for a cell leave the reference and end."""
    slowest = min(min(arm.operating_limits.acceleration) for arm in cell.arms)
    return Shaping(stop_acceleration=STOP_SHARE * slowest)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _plan(message: ActionChunk) -> Plan:
    def table(values: object, names: object) -> np.ndarray:
        shape = message.rows, len(names)  # type: ignore[arg-type]
        flat = np.asarray(values, dtype=np.float64)
        if flat.size != shape[0] * shape[1]:
            detail = f"expected {shape[0]} x {shape[1]} targets, got {flat.size}"
            raise PlanRefused(Cause("bad_shape", detail))
        return flat.reshape(shape)

    return Plan(
        Prediction(
            plan_start=to_ns(message.plan_start),
            dt=message.dt,
            joint_names=tuple(message.joint_names),
            joint_targets=table(message.joint_targets, message.joint_names),
            gripper_names=tuple(message.gripper_names),
            gripper_targets=table(message.gripper_targets, message.gripper_names),
        ),
        message.session,
        message.sequence,
        to_ns(message.observation_stamp),
    )


def _state_message(state: State, reference: Reference, cell: Cell) -> ControllerState:
    unknown = np.full(len(cell.joints), np.nan)
    return ControllerState(
        stamp=to_stamp(reference.stamp),
        mode=getattr(ControllerState, state.mode.name),
        stop_reason=state.stop_reason,
        joint_names=list(cell.joints),
        reference_positions=reference.positions,
        reference_velocities=reference.velocities,
        reference_accelerations=unknown,
        measured_positions=state.measured,
        measured_velocities=unknown,
        commands=unknown,
        gripper_names=[arm.gripper_name for arm in cell.arms],
        gripper_targets=[state.grippers.get(arm.gripper_name, np.nan) for arm in cell.arms],
        session=state.session,
        sequence=state.sequence,
        chunk_age=state.plan_age,
        plan_remaining=state.remaining,
        blend=np.nan,
        deviation=np.nan,
        speed_scaling=state.speed_scaling,
        chunks_accepted=state.accepted,
        chunks_refused=state.refused,
        rows_skipped=state.rows_skipped,
        splices=max(0, state.accepted - 1),
        stops=state.stops,
    )


def main() -> int:
    """Run the node until it is interrupted."""
    return run.main_of(ControllerBridgeNode)
