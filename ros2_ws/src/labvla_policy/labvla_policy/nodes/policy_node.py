"""The policy node: cameras and joint states in, checked action chunks out.

A lifecycle node: configuring validates everything and starts to load the engine on a thread,
activating is refused until it is ready. Translation only; the work is done by PolicyLoop.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from array import array
from typing import Any

import numpy as np
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, State, TransitionCallbackReturn
from rclpy.publisher import Publisher
from std_srvs.srv import Trigger

from labvla_msgs.msg import (
    ActionChunk,
    CameraHealth,
    CameraStamp,
    ControllerState,
    ObservationUsed,
    PolicyStatus,
)
from labvla_msgs.srv import SetInstruction
from labvla_policy.engines.host import EngineHost
from labvla_policy.engines.spec import EngineSpec
from labvla_policy.nodes import qos, run
from labvla_policy.nodes.events import Events
from labvla_policy.nodes.inputs import Inputs
from labvla_policy.nodes.loop import PolicyLoop
from labvla_policy.nodes.parameters import Number, ParameterError, Text
from labvla_policy.nodes.rates import Rate
from labvla_policy.nodes.stamps import to_ns, to_stamp
from labvla_policy.runtime.arbiter import Arbiter
from labvla_policy.runtime.cell import Cell, CellError, load_cell
from labvla_policy.runtime.cycle import Chunk, Cycle
from labvla_policy.runtime.gate.gate import Gate
from labvla_policy.runtime.instruction import InstructionRefused, normalise
from labvla_policy.runtime.observation.assembler import Assembler
from labvla_policy.runtime.reference import Reference, ReferenceHistory
from labvla_policy.runtime.scheduling.scheduler import Scheduler, SchedulerSettings
from labvla_policy.runtime.streams.ring import Ring
from labvla_policy.runtime.types import NANOSECONDS

CELL = Text("cell", "name or file of the cell that is driven")
ENGINE = Text("engine", "what answers observations")
OPTIONS = Text("engine_options", "what the engine needs, as a JSON object", "{}")
MODES = ("sync", "async", "ensemble", "rtc")
SCHEDULING = Text("scheduling", "how predictions follow each other", "async", MODES)
# 0.27 s at 30 Hz: in fast motion the controller begins to brake 0.3 s after the last chunk.
ROWS = Number("execute_rows", "rows of a prediction after which the next takes over", 8, 1, 1000)
TIMEOUT = Number("engine_timeout", "s that the engine may take for an answer", 2.0, 0.05, 60.0)
LOADING = Number("load_timeout", "s that the engine may take to load and warm up", 120.0, 1, 3600)

STATUS_PERIOD = 0.2  # s


class PolicyNode(LifecycleNode):  # type: ignore[misc]  # rclpy has no types
    """ROS face of the policy loop."""

    def __init__(self) -> None:
        super().__init__("policy")
        self.cell: Cell = load_cell(CELL.read(self))
        options = json.loads(OPTIONS.read(self))
        self._engine = ENGINE.read(self)
        spec = EngineSpec(self._engine, self.cell.origin.file, options)
        self._mode = SCHEDULING.read(self)
        settings = SchedulerSettings(mode=self._mode, execute_rows=int(ROWS.read(self)))  # type: ignore[arg-type]
        contract = self.cell.policy

        self._inputs = Inputs(self, self.cell)
        self._events = Events(self)
        self._arbiter = Arbiter()
        self._references = ReferenceHistory()
        self._scheduler = Scheduler(settings, contract.row_rate, contract.row_offset)
        self._cycle = Cycle(
            cell=self.cell,
            assembler=Assembler(self.cell, self._inputs.states, self._inputs.cameras),
            scheduler=self._scheduler,
            gate=Gate(self.cell),
            arbiter=self._arbiter,
            reports=self._events,
            references=self._references,
        )
        self._loop = PolicyLoop(
            cycle=self._cycle,
            host=EngineHost(spec),
            pictures=self._inputs.pictures,
            events=self._events,
            clock=self.now,
            publish=self._publish_chunk,
            frame_time=1.0 / min(camera.rate for camera in self.cell.policy_cameras),
            timeout=TIMEOUT.read(self),
            load_timeout=LOADING.read(self),
        )
        self._state = PolicyStatus.UNCONFIGURED
        self._lock = threading.Lock()
        self._ended = False
        self._session = time.time_ns()
        self._sequence = 0
        self._chunk_rate = Rate()
        self._make_topics()
        self._make_services()

    def _make_topics(self) -> None:
        # Made on activation: where nobody publishes chunks, nobody can be waiting for one.
        self._chunks: Publisher | None = None
        self._used: Publisher | None = None
        self._statuses = self.create_publisher(PolicyStatus, "labvla/status", qos.RELIABLE)
        self.create_subscription(
            ControllerState,
            f"{self.cell.controller.name}/state",
            self._on_controller_state,
            qos.RELIABLE,
        )
        # On a clock that always runs: a paused simulation is a state to be told, too.
        self.create_timer(
            STATUS_PERIOD, self._publish_status, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )

    def _make_services(self) -> None:
        self.create_service(
            SetInstruction,
            "labvla/set_instruction",
            self._on_instruction,
        )
        self._controller = {
            verb: self.create_client(Trigger, f"{self.cell.controller.name}/{verb}")
            for verb in ("stop", "reset_stop", "pause", "resume")
        }
        for name, action in (
            ("pause", self._pause),
            ("resume", self._resume),
            ("stop", self._stop),
            ("reset_stop", self._reset_stop),
            ("recover", self._reset_stop),
        ):
            self.create_service(
                Trigger,
                f"labvla/{name}",
                lambda _, response, action=action: self._answer(action, response),
            )

    # Life cycle

    def on_configure(self, state: State) -> TransitionCallbackReturn:
        """Start to load the engine; everything else was validated by the constructor."""
        self._state = PolicyStatus.LOADING
        if not self._loop.is_alive():
            self._loop.start()
        self.get_logger().info(f"drives {self.cell.name} with the engine {self._engine}")
        return super().on_configure(state)

    def on_activate(self, state: State) -> TransitionCallbackReturn:
        """Become active if the engine is ready."""
        if not self._loop.ready.is_set():
            self.get_logger().error(f"not yet: {self._loop.fault or 'the engine is loading'}")
            return TransitionCallbackReturn.FAILURE
        self._chunks = self.create_publisher(ActionChunk, "labvla/action_chunk", qos.RELIABLE)
        self._used = self.create_publisher(ObservationUsed, "labvla/observation_used", qos.RELIABLE)
        self._state = PolicyStatus.ACTIVE
        return super().on_activate(state)

    def on_deactivate(self, state: State) -> TransitionCallbackReturn:
        """Send nothing more."""
        self._cycle.halt()
        self._state = PolicyStatus.READY
        for publisher in (self._chunks, self._used):
            self.destroy_publisher(publisher)
        self._chunks = self._used = None
        return super().on_deactivate(state)

    def start_by_itself(self) -> None:
        """Configure now and activate as soon as the engine is ready (no life-cycle manager)."""
        self.trigger_configure()
        self._loop.ready.wait()
        if not self._ended:
            self.trigger_activate()

    # Requests

    def _answer(self, action, response: Trigger.Response) -> Trigger.Response:  # type: ignore[no-untyped-def]  # noqa: ANN001
        with self._lock:
            response.success, response.message = action()
        self._publish_status()
        return response

    def _ask_controller(self, verb: str) -> str:
        client = self._controller[verb]
        if not client.service_is_ready():
            return f"; no controller offers {client.srv_name}"
        client.call_async(Trigger.Request())
        return ""

    def _pause(self) -> tuple[bool, str]:
        if self._state != PolicyStatus.ACTIVE:
            return False, "only an active policy can be paused"
        self._cycle.halt(keep_instruction=True)
        self._state = PolicyStatus.PAUSED
        return True, f"paused{self._ask_controller('pause')}"

    def _resume(self) -> tuple[bool, str]:
        if self._state != PolicyStatus.PAUSED:
            return False, "the policy is not paused"
        self._state = PolicyStatus.ACTIVE
        missing = self._ask_controller("resume")
        if self._cycle.instruction:
            self._cycle.begin(self._cycle.instruction, self.now())
        return True, f"resumed{missing}"

    def _stop(self) -> tuple[bool, str]:
        missing = self._ask_controller("stop")
        self._arbiter.stop()
        self._cycle.halt()
        self._state = PolicyStatus.STOPPED
        return True, f"stopped{missing}; `labvla recover` makes the cell ready again"

    def _reset_stop(self) -> tuple[bool, str]:
        if self._state != PolicyStatus.STOPPED:
            return True, "there was no stop to clear"
        missing = self._ask_controller("reset_stop")
        self._arbiter.reset_stop()
        self._state = PolicyStatus.ACTIVE
        return True, f"ready{missing}; the instruction has to be given again"

    def _on_instruction(
        self, request: SetInstruction.Request, response: SetInstruction.Response
    ) -> SetInstruction.Response:
        with self._lock:
            response.accepted, response.message = self._take_instruction(request.instruction)
        response.effective_instruction = self._cycle.instruction
        self._publish_status()
        return response

    def _take_instruction(self, text: str) -> tuple[bool, str]:
        try:
            instruction = normalise(text)
        except InstructionRefused as refusal:
            return False, str(refusal)
        if not instruction:
            self._cycle.halt()
            return True, "no instruction: the arm comes to a stop"
        if self._state == PolicyStatus.STOPPED:
            return False, "the cell is stopped: `labvla recover` first"
        if self._state != PolicyStatus.ACTIVE:
            return False, f"the policy is not active: {self._loop.fault or 'the engine is loading'}"
        refusal_or_none = self._cycle.begin(instruction, self.now())
        if refusal_or_none is not None:
            return False, refusal_or_none.detail
        return True, f"instruction: {instruction}"

    # Streams

    def now(self) -> int:
        """Return the time of the stamps in ns."""
        return int(self.get_clock().now().nanoseconds)

    def _on_controller_state(self, message: ControllerState) -> None:
        order = [message.joint_names.index(joint) for joint in self.cell.joints]
        self._references.add(
            Reference(
                to_ns(message.stamp),
                np.asarray(message.reference_positions)[order],
                np.asarray(message.reference_velocities)[order],
                round(message.plan_remaining * NANOSECONDS),
            )
        )

    def _publish_chunk(self, chunk: Chunk) -> None:
        if self._chunks is None or self._used is None:
            return  # deactivated while the engine worked
        plan, observation = chunk.plan, chunk.observation
        self._sequence += 1
        stamps = [
            CameraStamp(camera=frame.camera, stamp=to_stamp(frame.stamp))
            for frame in observation.camera_stamps
        ]
        self._chunks.publish(
            ActionChunk(
                observation_stamp=to_stamp(observation.stamp),
                camera_stamps=stamps,
                plan_start=to_stamp(plan.plan_start),
                dt=plan.dt,
                session=self._session,
                sequence=self._sequence,
                rows=plan.rows,
                joint_names=plan.joint_names,
                joint_targets=array("d", plan.joint_targets.tobytes()),
                gripper_names=plan.gripper_names,
                gripper_targets=array("d", plan.gripper_targets.tobytes()),
                committed_prefix=plan.prefix_rows,
                inference_latency=chunk.latency,
                policy=self._loop.policy,
                instruction=observation.instruction,
                contract_hash=self.cell.contract_hash,
            )
        )
        self._used.publish(
            ObservationUsed(
                session=self._session,
                sequence=self._sequence,
                state_stamp=to_stamp(observation.stamp),
                camera_stamps=stamps,
                skew=observation.skew * 1e-9,
                age=observation.age * 1e-9,
                joint_names=observation.joint_names,
                joint_positions=observation.positions,
                instruction=observation.instruction,
                hash=np.frombuffer(observation.hash, np.uint8),
            )
        )
        self._chunk_rate.count(time.monotonic())

    def _publish_status(self) -> None:
        loop, cycle, now, t = self._loop, self._cycle, time.monotonic(), self.now()
        state = self._state
        if state == PolicyStatus.ACTIVE and not loop.ready.is_set():
            state = PolicyStatus.FAULT
        owner = self._arbiter.owner(t)
        last = cycle.last
        joints = self._inputs.states[self.cell.joint_states.topic]
        joint_counts = joints.counts
        self._statuses.publish(
            PolicyStatus(
                stamp=to_stamp(t),
                state=state,
                message=loop.fault,
                cell=self.cell.name,
                cell_hash=self.cell.hash,
                engine=self._engine,
                policy=loop.policy,
                contract_hash=self.cell.contract_hash,
                instruction=cycle.instruction,
                motion_owner=owner.label if owner else "none",
                scheduling=self._scheduler.mode,
                chunk_rate=self._chunk_rate.per_second(now),
                latency_p50=loop.latency.quantile(0.5),
                latency_p99=loop.latency.quantile(0.99),
                delay_rows=self._scheduler.delay_rows,
                skew=last.skew * 1e-9 if last else float("nan"),
                observation_age=last.age * 1e-9 if last else float("nan"),
                joint_state_rate=_rate(joints, t),
                joint_state_age=_age(joints, t),
                joint_states_received=joint_counts.received,
                joint_states_lost=joint_counts.lost,
                joint_states_refused=sum(joint_counts.refused.values()),
                cameras=[self._health(camera.name, t) for camera in self.cell.policy_cameras],
                chunks_published=self._sequence,
                observations_refused=cycle.observations_refused,
                predictions_refused=cycle.predictions_refused,
                events=sum(self._events.counts.values()),
            )
        )

    def _health(self, camera: str, t: int) -> CameraHealth:
        ring = self._inputs.cameras[camera]
        counts = ring.counts
        return CameraHealth(
            camera=camera,
            rate=_rate(ring, t),
            age=_age(ring, t),
            received=counts.received,
            lost=counts.lost,
            refused=sum(counts.refused.values()),
        )

    def end(self) -> None:
        """End the loop and the engine."""
        self._ended = True
        self._loop.ready.set()  # whoever waits for it need not any more
        self._loop.end()


def _rate(ring: Ring[Any, Any], t: int) -> float:
    """Return the rate of what a ring holds; 0 when its newest is old."""
    samples = ring.samples
    if len(samples) < 2 or t - samples[-1].stamp > NANOSECONDS:
        return 0.0
    return (len(samples) - 1) * NANOSECONDS / (samples[-1].stamp - samples[0].stamp)


def _age(ring: Ring[Any, Any], t: int) -> float:
    """Return the age of the newest sample; NaN before the first."""
    newest = ring.newest
    return (t - newest.stamp) * 1e-9 if newest else float("nan")


def main() -> int:
    """Run the node until it is interrupted."""
    run.start()
    try:
        node = PolicyNode()
    except (CellError, ParameterError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    threading.Thread(target=node.start_by_itself, daemon=True).start()
    run.until_signalled(node)
    return 0
