"""The policy node: joint states in, action chunks out, instructions over a service."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import rclpy
from builtin_interfaces.msg import Time
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.service import Service
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from labvla_msgs.msg import ActionChunk, PolicyStatus, SafetyEvent
from labvla_msgs.srv import SetInstruction
from labvla_policy.engines.base import Engine, EngineError
from labvla_policy.engines.replay import Recording, ReplayEngine
from labvla_policy.nodes import qos
from labvla_policy.nodes.parameters import Number, ParameterError, Text
from labvla_policy.nodes.stamps import to_ns, to_stamp
from labvla_policy.runtime.cell import Cell, CellError, load_cell
from labvla_policy.runtime.instruction import InstructionRefused, normalise
from labvla_policy.runtime.joint_sample import select_positions
from labvla_policy.runtime.refusal import Refused
from labvla_policy.runtime.types import Observation, Prediction

CELL = Text("cell", "name or file of the cell that is driven")
ENGINE = Text("engine", "what answers observations", "replay", ("replay",))
RECORDING = Text("recording", "motion that the replay engine plays")
PERIOD = Number("chunk_period", "seconds between two chunks", 0.5, 0.05, 2.0)

STATUS_PERIOD = 0.2  # s


class PolicyNode(Node):  # type: ignore[misc]  # rclpy has no types
    """Asks the engine for a plan whenever an instruction is set."""

    def __init__(self) -> None:
        super().__init__("policy")
        self._cell: Cell = load_cell(CELL.read(self))
        ENGINE.read(self)
        recording = Recording(Path(RECORDING.read(self)))
        self._engine: Engine = ReplayEngine(self._cell, recording)
        self._period = PERIOD.read(self)

        self._lock = threading.Condition()
        self._newest: JointState | None = None
        self._state = PolicyStatus.ACTIVE
        self._instruction = ""
        self._begun = False
        self._ending = False
        self._session = time.time_ns()
        self._sequence = 0
        self._refused = 0
        self._events = 0

        self._chunks = self.create_publisher(ActionChunk, "labvla/action_chunk", qos.RELIABLE)
        self._statuses = self.create_publisher(PolicyStatus, "labvla/status", qos.RELIABLE)
        self._safety = self.create_publisher(SafetyEvent, "labvla/events", qos.RELIABLE)
        self.create_subscription(
            JointState, self._cell.joint_states.topic, self._on_joint_state, qos.JOINT_STATES
        )
        self.create_service(SetInstruction, "labvla/set_instruction", self._on_instruction)
        self._triggers = [
            self._trigger("pause", self._pause),
            self._trigger("resume", self._resume),
            self._trigger("stop", self._stop),
            self._trigger("reset_stop", self._reset_stop),
            self._trigger("recover", self._reset_stop),
        ]
        self.create_timer(STATUS_PERIOD, self._publish_status)
        self._worker = threading.Thread(target=self._work, name="inference")
        self._worker.start()
        self.get_logger().info(f"drives {self._cell.name} with {self._engine.policy}")

    def _trigger(self, name: str, action: Callable[[], tuple[bool, str]]) -> Service:
        def answer(_request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            with self._lock:
                response.success, response.message = action()
                self._lock.notify_all()
            self._publish_status()
            return response

        return self.create_service(Trigger, f"labvla/{name}", answer)

    def _pause(self) -> tuple[bool, str]:
        if self._state != PolicyStatus.ACTIVE:
            return False, "only an active policy can be paused"
        self._state = PolicyStatus.PAUSED
        return True, "paused"

    def _resume(self) -> tuple[bool, str]:
        if self._state != PolicyStatus.PAUSED:
            return False, "the policy is not paused"
        self._state = PolicyStatus.ACTIVE
        self._begun = False
        return True, "resumed"

    def _stop(self) -> tuple[bool, str]:
        self._state = PolicyStatus.STOPPED
        self._instruction = ""
        return True, "stopped; `labvla recover` makes the cell ready again"

    def _reset_stop(self) -> tuple[bool, str]:
        if self._state != PolicyStatus.STOPPED:
            return True, "there was no stop to clear"
        self._state = PolicyStatus.ACTIVE
        return True, "ready; the instruction has to be given again"

    def _on_joint_state(self, message: JointState) -> None:
        self._newest = message

    def _on_instruction(
        self, request: SetInstruction.Request, response: SetInstruction.Response
    ) -> SetInstruction.Response:
        response.accepted, response.message = self._take_instruction(request.instruction)
        response.effective_instruction = self._instruction
        self._publish_status()
        return response

    def _take_instruction(self, text: str) -> tuple[bool, str]:
        try:
            instruction = normalise(text)
        except InstructionRefused as refusal:
            return False, str(refusal)
        with self._lock:
            if instruction and self._state == PolicyStatus.STOPPED:
                return False, "the cell is stopped: `labvla recover` first"
            self._instruction = instruction
            self._begun = False
            self._lock.notify_all()
        return True, f"instruction: {instruction}" if instruction else "no instruction"

    def _work(self) -> None:
        while self._wait_for_work():
            begin = time.monotonic()
            try:
                self._infer_once(begin)
            except Refused as refused:
                self._refused += 1
                refusal = refused.refusal
                self._publish_event(refusal.source, refusal.reason, refusal.detail, refusal.subject)
            with self._lock:
                rest = self._period - (time.monotonic() - begin)
                self._lock.wait_for(lambda: self._ending, timeout=max(rest, 0.0))

    def _wait_for_work(self) -> bool:
        """Wait until there is something to do; False when the node ends."""

        def ready() -> bool:
            active = self._state == PolicyStatus.ACTIVE and bool(self._instruction)
            return self._ending or (active and self._newest is not None)

        with self._lock:
            while not self._lock.wait_for(ready, timeout=0.05):
                pass
            return not self._ending

    def _infer_once(self, begin: float) -> None:
        with self._lock:
            observation = self._observe()
            first, self._begun = not self._begun, True
        if first:
            self._engine.begin(observation)
        prediction = self._engine.infer(observation)
        latency = time.monotonic() - begin
        with self._lock:
            if self._state != PolicyStatus.ACTIVE or self._instruction != observation.instruction:
                return  # what was asked for changed while the engine worked
            self._sequence += 1
            self._chunks.publish(self._to_message(observation, prediction, latency))

    def _observe(self) -> Observation:
        state = self._newest
        assert state is not None
        positions = select_positions(state.name, state.position, self._cell.joints)
        return Observation(
            stamp=to_ns(state.header.stamp),
            joint_names=self._cell.joints,
            positions=positions,
            instruction=self._instruction,
        )

    def _to_message(
        self, observation: Observation, prediction: Prediction, latency: float
    ) -> ActionChunk:
        return ActionChunk(
            observation_stamp=to_stamp(observation.stamp),
            plan_start=to_stamp(prediction.plan_start),
            dt=prediction.dt,
            session=self._session,
            sequence=self._sequence,
            rows=len(prediction.joint_targets),
            joint_names=prediction.joint_names,
            joint_targets=prediction.joint_targets.ravel(),
            gripper_names=prediction.gripper_names,
            gripper_targets=prediction.gripper_targets.ravel(),
            inference_latency=latency,
            policy=self._engine.policy,
            instruction=observation.instruction,
            contract_hash=self._cell.contract_hash,
        )

    def _now(self) -> Time:
        return self.get_clock().now().to_msg()

    def _publish_event(self, source: str, reason: str, detail: str, joint: str) -> None:
        self._events += 1
        self._safety.publish(
            SafetyEvent(
                stamp=self._now(),
                severity=SafetyEvent.REFUSED,
                source=source,
                reason=reason,
                detail=detail,
                joint=joint,
                value=float("nan"),
                limit=float("nan"),
                sequence=self._sequence,
                count=1,
            )
        )

    def _publish_status(self) -> None:
        unknown = float("nan")
        self._statuses.publish(
            PolicyStatus(
                stamp=self._now(),
                state=self._state,
                cell=self._cell.name,
                cell_hash=self._cell.hash,
                engine="replay",
                policy=self._engine.policy,
                contract_hash=self._cell.contract_hash,
                instruction=self._instruction,
                motion_owner="policy" if self._instruction else "none",
                scheduling="async",
                latency_p50=unknown,
                latency_p99=unknown,
                skew=unknown,
                observation_age=unknown,
                chunks_published=self._sequence,
                observations_refused=self._refused,
                events=self._events,
            )
        )

    def end(self) -> None:
        """Stop the worker."""
        with self._lock:
            self._ending = True
            self._lock.notify_all()
        self._worker.join()


def main() -> int:
    """Run the node until it is interrupted."""
    rclpy.init(signal_handler_options=SignalHandlerOptions.ALL)
    try:
        node = PolicyNode()
    except (CellError, EngineError, ParameterError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.end()
        node.destroy_node()
        rclpy.try_shutdown()
    return 0
