"""The policy node: cameras and joint states in, checked action chunks out.

A lifecycle node: configuring validates everything and starts to load the engine on a thread,
activating is refused until it is ready. Translation only; the work is done by PolicyLoop.
"""

from __future__ import annotations

import threading
import time

from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, State, TransitionCallbackReturn
from std_srvs.srv import Trigger

from labvla_msgs.msg import CameraHealth, PolicyStatus, SafetyEvent
from labvla_msgs.srv import SetInstruction
from labvla_policy.engines.host import EngineHost
from labvla_policy.engines.spec import EngineSpec
from labvla_policy.nodes import qos, run
from labvla_policy.nodes.chunk_outlet import ChunkOutlet
from labvla_policy.nodes.controller_link import ControllerLink
from labvla_policy.nodes.diagnostics import Diagnostics
from labvla_policy.nodes.events import Events
from labvla_policy.nodes.inputs import Inputs
from labvla_policy.nodes.lockstep_link import LockStepLink
from labvla_policy.nodes.loop import PolicyLoop
from labvla_policy.nodes.move_to_server import MoveToServer
from labvla_policy.nodes.moveit_planner import planner_for
from labvla_policy.nodes.policy_diagnostics import PolicyDiagnostics
from labvla_policy.nodes.policy_parameters import (
    CELL,
    ENGINE,
    LOADING,
    LOCKSTEP,
    OPTIONS,
    PLANNER,
    PLANNING_TIME,
    ROBOT,
    ROWS,
    SCHEDULING,
    TIMEOUT,
)
from labvla_policy.nodes.robot_link import RobotLink
from labvla_policy.nodes.stamps import to_stamp
from labvla_policy.nodes.teleop_server import TeleopServer
from labvla_policy.runtime.arbiter import Arbiter
from labvla_policy.runtime.beat import Beat, RealTime, Step
from labvla_policy.runtime.cell import Cell, load_cell
from labvla_policy.runtime.cycle import Chunk, Cycle
from labvla_policy.runtime.gate.gate import Gate
from labvla_policy.runtime.gate.rules import Limits
from labvla_policy.runtime.instruction import InstructionRefused, normalise
from labvla_policy.runtime.mover.move_to import Mover
from labvla_policy.runtime.observation.assembler import Assembler
from labvla_policy.runtime.refusal import Refusal
from labvla_policy.runtime.scheduling.scheduler import Scheduler, SchedulerSettings

STATUS_PERIOD = 0.2  # s


class PolicyNode(LifecycleNode):  # type: ignore[misc]  # rclpy has no types
    """ROS face of the policy loop."""

    def __init__(self) -> None:
        super().__init__("policy")
        self.cell: Cell = load_cell(CELL.read(self))
        self._engine = ENGINE.read(self)
        spec = EngineSpec(self._engine, self.cell.origin.file, OPTIONS.read(self))
        self._mode = SCHEDULING.read(self)
        settings = SchedulerSettings(mode=self._mode, execute_rows=ROWS.read(self))  # type: ignore[arg-type]
        contract = self.cell.policy

        self._inputs = Inputs(self, self.cell)
        self._events = Events(self)
        self._arbiter = Arbiter()
        self._controller = ControllerLink(self, self.cell, self._events)
        self._outlet = ChunkOutlet(self, self.cell)
        gate = Gate(self.cell)
        lockstep = LOCKSTEP.read(self)
        self._lockstep = self._follow_simulation() if lockstep else None
        self._beat: Beat = self._lockstep.beat if self._lockstep else RealTime(self._ros_now)
        self._scheduler = Scheduler(settings, contract.row_rate, contract.row_offset)
        self._cycle = Cycle(
            cell=self.cell,
            assembler=Assembler(self.cell, self._inputs.states, self._inputs.cameras),
            scheduler=self._scheduler,
            gate=gate,
            arbiter=self._arbiter,
            reports=self._events,
            references=self._controller.references,
        )
        self._loop = PolicyLoop(
            cycle=self._cycle,
            host=EngineHost(spec),
            beat=self._beat,
            pictures=self._inputs.pictures,
            events=self._events,
            publish=self._publish_chunk,
            frame_time=1.0 / min(camera.rate for camera in self.cell.policy_cameras),
            timeout=TIMEOUT.read(self),
            load_timeout=LOADING.read(self),
        )
        self._robot = RobotLink(self, self._watch_robot) if ROBOT.read(self) else None
        self._ways = planner_for(self, self.cell, PLANNER.read(self), PLANNING_TIME.read(self))
        self._state = PolicyStatus.UNCONFIGURED
        self._lock = threading.Lock()
        self._starting = threading.Thread(target=self._start, daemon=True)
        self._ended = False
        self._clock_jumps = 0
        self._move_to = MoveToServer(
            self,
            Mover(self.cell, gate, ways=self._ways),
            Limits.of_cell(self.cell),
            self._arbiter,
            self._cycle,
            self._controller.references,
            self._outlet,
            self._events,
            self._beat,
            self._why_not_move,
        )
        self._statuses = self.create_publisher(PolicyStatus, "labvla/status", qos.RELIABLE)
        self._teleop = TeleopServer(
            self,
            self.cell,
            gate,
            self._arbiter,
            self._cycle,
            self._controller.references,
            self._outlet,
            self._events,
            self._beat,
            self._why_not_move,
            self._publish_status,
        )
        # On a clock that always runs: a paused simulation is a state to be told, too.
        self.create_timer(
            STATUS_PERIOD, self._on_status_time, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )
        diagnostics = PolicyDiagnostics(
            self.cell,
            self._inputs,
            self._loop,
            self._cycle,
            self._scheduler,
            self._controller,
            self._outlet,
            self._events,
        )
        self._diagnostics = Diagnostics(self, self.cell.name, diagnostics.find)
        self._make_services()

    def _follow_simulation(self) -> LockStepLink:
        return LockStepLink(
            self,
            self._ros_now,
            self._has_arrived,
            self._is_idle,
            lambda: (self._outlet.session, self._outlet.sent),
        )

    def _has_arrived(self, step: Step) -> bool:
        state = self._controller.references.last
        if state is None or state < step.stamp:
            return False
        return all(self._inputs.has(topic, step.stamp) for topic in step.topics)

    def _is_idle(self) -> bool:
        return not (self._cycle.instruction or self._move_to.busy or self._teleop.busy)

    def _make_services(self) -> None:
        self.create_service(
            SetInstruction,
            "labvla/set_instruction",
            self._on_instruction,
        )
        services = {
            "pause": self._pause,
            "resume": self._resume,
            "stop": self._stop_for_somebody,
            "reset_stop": self._reset_stop,
        }
        if self._robot is None:  # else the robot node offers it: more than a stop is to be cleared
            services["recover"] = self._reset_stop
        for name, action in services.items():
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
        if refusal := self._why_robot_not():
            self.get_logger().error(f"not yet: {refusal.reason}: {refusal.detail}")
            return TransitionCallbackReturn.FAILURE
        self._outlet.open()
        self._state = PolicyStatus.ACTIVE
        return super().on_activate(state)

    def on_deactivate(self, state: State) -> TransitionCallbackReturn:
        """Send nothing more."""
        self._cycle.halt()
        self._state = PolicyStatus.READY
        self._outlet.close()
        return super().on_deactivate(state)

    def start_by_itself(self) -> None:
        """Configure now and activate as soon as all is ready, in the background.

        For a node without a life-cycle manager.
        """
        self._starting.start()

    def _start(self) -> None:
        self.trigger_configure()
        self._loop.ready.wait()
        while self._why_robot_not() and not self._ended:
            time.sleep(STATUS_PERIOD)
        if not self._ended:
            self.trigger_activate()

    # Requests

    def _answer(self, action, response: Trigger.Response) -> Trigger.Response:  # type: ignore[no-untyped-def]  # noqa: ANN001
        with self._lock:
            response.success, response.message = action()
        self._beat.poke()
        self._publish_status()
        return response

    def _pause(self) -> tuple[bool, str]:
        if self._state != PolicyStatus.ACTIVE:
            return False, "only an active policy can be paused"
        self._cycle.halt(keep_instruction=True)
        self._state = PolicyStatus.PAUSED
        return True, f"paused{self._controller.ask('pause')}"

    def _resume(self) -> tuple[bool, str]:
        if self._state != PolicyStatus.PAUSED:
            return False, "the policy is not paused"
        if refusal := self._why_robot_not():
            return False, f"{refusal.reason}: {refusal.detail}"
        self._state = PolicyStatus.ACTIVE
        missing = self._controller.ask("resume")
        if self._cycle.instruction:
            self._cycle.begin(self._cycle.instruction, self.now())
        return True, f"resumed{missing}"

    def _stop_for_somebody(self) -> tuple[bool, str]:
        if self._robot is not None:
            self._robot.cancel_recovery()
        return self._stop()

    def _stop(self) -> tuple[bool, str]:
        missing = self._controller.ask("stop")
        self._arbiter.stop()
        self._cycle.halt()
        self._state = PolicyStatus.STOPPED
        return True, f"stopped{missing}; `labvla recover` makes the cell ready again"

    def _reset_stop(self) -> tuple[bool, str]:
        if refusal := self._why_robot_not():
            return False, f"{refusal.reason}: {refusal.detail}"
        # The controller may be stopped without this node: by somebody else, or before its restart.
        # Then an instruction may still be set, which must not move the arm at once.
        self._cycle.halt()
        missing = self._controller.ask("reset_stop")
        self._arbiter.reset_stop()
        if self._state == PolicyStatus.STOPPED:
            self._state = PolicyStatus.ACTIVE
        return True, f"ready{missing}; the instruction has to be given again"

    def _on_instruction(
        self, request: SetInstruction.Request, response: SetInstruction.Response
    ) -> SetInstruction.Response:
        with self._lock:
            response.accepted, response.message = self._take_instruction(request.instruction)
        self._beat.poke()
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
        if hindrance := self._why_robot_not():
            return False, f"{hindrance.reason}: {hindrance.detail}"
        refusal_or_none = self._cycle.begin(instruction, self.now())
        if refusal_or_none is not None:
            return False, refusal_or_none.detail
        return True, f"instruction: {instruction}"

    # Streams

    def now(self) -> int:
        """Return the time of the stamps in ns."""
        return self._beat.now()

    def _ros_now(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _why_not_move(self) -> Refusal | None:
        """Return why nobody may move the arms at the moment."""
        if self._state == PolicyStatus.STOPPED:
            return Refusal("stopped", "the cell is stopped: `labvla recover` first")
        if self._state == PolicyStatus.PAUSED:
            return Refusal("controller_paused", "the cell is paused: resume first")
        if self._state != PolicyStatus.ACTIVE:
            return Refusal("not_active", self._loop.fault or "the engine is loading")
        return self._why_robot_not()

    def _why_robot_not(self) -> Refusal | None:
        return self._robot.why_not() if self._robot is not None else None

    def _robots_words(self) -> str:
        refusal = self._why_robot_not()
        return f"{refusal.reason}: {refusal.detail}" if refusal else ""

    def _watch_robot(self) -> None:
        """Stop, latched, when the robot has stopped by itself or nobody watches it any more."""
        if self._state not in (PolicyStatus.ACTIVE, PolicyStatus.PAUSED):
            return
        if refusal := self._why_robot_not():
            with self._lock:
                self._stop()
            self._beat.poke()
            t = self.now()
            self._events.tell(SafetyEvent.STOPPED, refusal.source, refusal, t, 0)

    def _publish_chunk(self, chunk: Chunk) -> None:
        self._outlet.send_answer(chunk, self._loop.policy)

    def _on_status_time(self) -> None:
        jumps = self._inputs.clock_jumps
        if jumps > self._clock_jumps:
            detail = f"{jumps - self._clock_jumps} streams: was a clock set, or a driver restarted?"
            self._events.refused(Refusal("clock_jump", detail), self.now())
        self._clock_jumps = jumps
        self._watch_robot()
        self._publish_status()

    def _publish_status(self) -> None:
        loop, cycle, t = self._loop, self._cycle, self.now()
        state = self._state
        if state == PolicyStatus.ACTIVE and not loop.ready.is_set():
            state = PolicyStatus.FAULT
        elif state == PolicyStatus.LOADING and loop.ready.is_set():
            state = PolicyStatus.READY  # a real cell's waits for its robots
        owner = self._arbiter.owner(t)
        last = cycle.last
        joints = self._inputs.states[self.cell.joint_states.topic]
        joint_counts = joints.counts
        self._statuses.publish(
            PolicyStatus(
                stamp=to_stamp(t),
                state=state,
                message=loop.fault or self._robots_words(),
                cell=self.cell.name,
                cell_hash=self.cell.hash,
                engine=self._engine,
                policy=loop.policy,
                contract_hash=self.cell.contract_hash,
                instruction=cycle.instruction,
                motion_owner=owner.label if owner else "none",
                scheduling=self._scheduler.mode,
                chunk_rate=self._outlet.rate,
                latency_p50=loop.latency.quantile(0.5),
                latency_p99=loop.latency.quantile(0.99),
                delay_rows=self._scheduler.delay_rows,
                skew=last.skew * 1e-9 if last else float("nan"),
                observation_age=last.age * 1e-9 if last else float("nan"),
                joint_state_rate=joints.rate(t),
                joint_state_age=joints.age(t),
                joint_states_received=joint_counts.received,
                joint_states_lost=joint_counts.lost,
                joint_states_refused=sum(joint_counts.refused.values()),
                cameras=[self._health(camera.name, t) for camera in self.cell.policy_cameras],
                chunks_published=self._outlet.sent,
                observations_refused=cycle.observations_refused,
                predictions_refused=cycle.predictions_refused,
                events=self._events.log.total,
            )
        )

    def _health(self, camera: str, t: int) -> CameraHealth:
        ring = self._inputs.cameras[camera]
        counts = ring.counts
        return CameraHealth(
            camera=camera,
            rate=ring.rate(t),
            age=ring.age(t),
            received=counts.received,
            lost=counts.lost,
            refused=sum(counts.refused.values()),
        )

    def end(self) -> None:
        """End the loop and the engine."""
        self._ended = True
        self._loop.ready.set()  # whoever waits for it need not any more
        if self._starting.is_alive():
            self._starting.join()  # it uses what is destroyed next
        self._move_to.end()
        self._teleop.end()
        if self._ways is not None:
            self._ways.end()
        if self._lockstep is not None:
            self._lockstep.beat.end()
        self._loop.end()


def main() -> int:
    """Run the node until it is interrupted."""
    return run.main_of(PolicyNode, begin=PolicyNode.start_by_itself)
