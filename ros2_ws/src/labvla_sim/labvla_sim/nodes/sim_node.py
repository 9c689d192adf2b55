"""A simulated cell on ROS: plant and controller at 1 kHz, cameras, judge, faults.

Everything that a real cell offers has the same name here; what only a simulation can offer (truth,
reset, judge, faults) is under `sim/`.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from rclpy.node import Node
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from labvla_control import Mode
from labvla_msgs.msg import SimScene
from labvla_msgs.srv import InjectFault, JudgeScene, ResetScene
from labvla_policy.nodes import qos, run
from labvla_policy.nodes.stamps import NANOSECONDS, to_stamp
from labvla_policy.runtime.cell import load_cell
from labvla_sim.nodes.cameras import CameraThread
from labvla_sim.nodes.controller_face import ControllerFace
from labvla_sim.nodes.heap import give_large_blocks_back
from labvla_sim.nodes.invariants_face import InvariantsFace
from labvla_sim.nodes.lockstep_face import LockStepFace
from labvla_sim.nodes.sim_parameters import BOARD, CELL, NO_BOARD, PACING, SEED, SPEED, TASK
from labvla_sim.plant import Pace, SimCell
from labvla_sim.plant.controlled import PERIOD, STATE_RATE, ControlledCell
from labvla_sim.plant.faults import JointFaults, JointReading
from labvla_sim.plant.gripper_joints import gripper_readings
from labvla_sim.plant.sim_cell import TICK, RobotState
from labvla_sim.plant.stamps import StampClock
from labvla_sim.tasks import TASKS, Trial
from labvla_sim.tasks.variation import VARIATIONS
from labvla_sim.truth_text import to_text

TRUTH_RATE = 30.0  # Hz
REMINDER = 0.2  # s of the machine's clock between two announcements of a step


class SimNode(Node):  # type: ignore[misc]  # rclpy has no types
    """Three threads: the plant's, the cameras', and the executor's."""

    def __init__(self) -> None:
        super().__init__("sim")
        self.cell = load_cell(CELL.read(self))
        board: Any = BOARD.read(self)
        trial = Trial(SimCell(self.cell, board=None if board == NO_BOARD else board))
        trial.reset(TASK.read(self), SEED.read(self))
        self._controlled = ControlledCell(trial)
        self._stamps = StampClock()
        self._held_until = 0.0  # s of the machine's clock, while the plant is paused
        self._lock = threading.Lock()  # the plant, against resets
        self._joint_faults = JointFaults()
        self._ending = threading.Event()

        self._lockstep = LockStepFace(self) if PACING.read(self) == "lockstep" else None
        self._speed = SPEED.read(self)
        self._face = ControllerFace(
            self,
            self.cell,
            self._controlled,
            self.now,
            self._lockstep.barrier.chunk_arrived if self._lockstep else _nobody,
        )
        self._joint_states = self.create_publisher(
            JointState, self.cell.joint_states.topic, qos.RELIABLE
        )
        self._gripper_states = {
            topic: self.create_publisher(JointState, topic, qos.RELIABLE)
            for topic in {arm.gripper.state_topic for arm in self.cell.arms}
        }
        self._clock_topic = self.create_publisher(Clock, "/clock", qos.IMAGES)
        self._truth = self.create_publisher(String, "sim/truth", qos.RELIABLE)
        self._scenes = self.create_publisher(SimScene, "sim/scene", qos.RELIABLE)
        for kind, name, handler in (
            (ResetScene, "sim/reset", self._on_reset),
            (JudgeScene, "sim/judge", self._on_judge),
            (InjectFault, "sim/fault", self._on_fault),
        ):
            self.create_service(kind, name, handler)
        self._invariants = InvariantsFace(self, self._controlled, self._lock)
        self._cameras = CameraThread(self, self.cell, trial.sim.snapshot, self._stamps)
        self._plant = threading.Thread(target=self._run, name="plant", daemon=True)
        self._cameras.start()
        self._plant.start()
        self.get_logger().info(
            f"simulates {self.cell.name}; on the bench: {trial.episode.task}, "
            f"seed {trial.episode.seed}"
        )

    def now(self) -> int:
        """Return the simulated time in ns."""
        return self._stamps.stamp(self._controlled.trial.sim.stamp)

    def _run(self) -> None:
        every = {
            "joints": round(1e3 / self.cell.joint_states.rate),
            "state": round(1e3 / STATE_RATE),
            "truth": round(1e3 / TRUTH_RATE),
        }
        pace, sim = Pace(self._speed), self._controlled.trial.sim
        stood = -1  # where time last stood: everything of that moment is published already
        while not self._ending.is_set():
            if time.monotonic() < self._held_until:
                time.sleep(PERIOD)
                continue
            if self._lockstep is not None and sim.stamp >= self._cameras.due:
                stood = sim.stamp
                self._stand(self._lockstep)
            with self._lock:
                ticks = sim.ticks
                measured, control = self._controlled.tick()
            if measured.stamp != stood:
                stamp = self._stamps.stamp(measured.stamp)
                if ticks % every["joints"] == 0:
                    self._clock_topic.publish(Clock(clock=to_stamp(stamp)))
                    self._publish_joints(stamp, measured)
                if ticks % every["state"] == 0:
                    self._face.publish(stamp, control)
                    self._publish_grippers(stamp, measured)
                if ticks % every["truth"] == 0:
                    self._publish_views(stamp)
            barrier = self._lockstep.barrier if self._lockstep else None
            pace.wait(sim.stamp / NANOSECONDS, free=bool(barrier and barrier.taking_part))

    def _stand(self, lockstep: LockStepFace) -> None:
        """Publish everything of this moment, and wait until everybody is done with it."""
        sim = self._controlled.trial.sim
        with self._lock:
            now, measured = sim.stamp, sim.state()
            control = self._controlled.controller.state()
        stamp = self._stamps.stamp(now)
        topics = [self.cell.joint_states.topic] if self._publish_joints(stamp, measured) else []
        self._face.publish(stamp, control)
        self._publish_grippers(stamp, measured)
        topics += self._gripper_states
        while not self._cameras.wait(now, REMINDER):
            if self._ending.is_set():
                return
        seen = self._cameras.seen
        topics += [camera.topic for camera in self.cell.cameras if camera.name in seen]
        lockstep.barrier.open(stamp)
        while not self._ending.is_set():
            # Told again and again: whoever begins to listen now needs to know, too.
            self._clock_topic.publish(Clock(clock=to_stamp(stamp)))
            self._publish_views(stamp)
            lockstep.announce(stamp, topics)
            if lockstep.barrier.wait(REMINDER):
                return

    def _publish_views(self, stamp: int) -> None:
        """Publish what only a simulation can tell, to whoever listens."""
        self._publish_truth(stamp)
        self._publish_scene(stamp)

    def _publish_truth(self, stamp: int) -> None:
        if self._truth.get_subscription_count():
            trial = self._controlled.trial
            with self._lock:
                text = to_text(stamp, trial.episode, trial.sim.truth())
            self._truth.publish(String(data=text))

    def _publish_scene(self, stamp: int) -> None:
        if self._scenes.get_subscription_count():
            with self._lock:
                episode = self._controlled.trial.episode
                seen = self._controlled.trial.sim.snapshot()
            message = SimScene(
                stamp=to_stamp(stamp),
                task=episode.task,
                seed=episode.seed,
                variation=episode.variation,
                positions=seen.positions,
            )
            if seen.hot_plate is not None:
                message.heating = seen.hot_plate.running
                message.temperature = seen.hot_plate.temperature
            self._scenes.publish(message)

    def _publish_joints(self, stamp: int, measured: RobotState) -> bool:
        """Publish a joint state unless a fault keeps it back."""
        reading = JointReading(
            stamp, self.cell.joints, measured.positions, measured.velocities, measured.efforts
        )
        spoiled = self._joint_faults.apply(reading)
        if spoiled is None:
            return False
        message = JointState(
            name=spoiled.names,
            position=spoiled.positions,
            velocity=spoiled.velocities,
            effort=spoiled.efforts,
        )
        message.header.stamp = to_stamp(spoiled.stamp)
        self._joint_states.publish(message)
        return spoiled.stamp == stamp

    def _publish_grippers(self, stamp: int, measured: RobotState) -> None:
        for topic, reading in gripper_readings(self.cell, measured).items():
            message = JointState(name=reading.names, position=reading.positions)
            message.header.stamp = to_stamp(stamp)
            self._gripper_states[topic].publish(message)

    def _on_reset(
        self, request: ResetScene.Request, response: ResetScene.Response
    ) -> ResetScene.Response:
        variation = request.variation or "id"
        if request.task not in TASKS or variation not in VARIATIONS:
            response.message = (
                f"expected a task of {sorted(TASKS)} and a variation of {sorted(VARIATIONS)}, "
                f"got {request.task!r}, {variation!r}"
            )
            return response
        if self._controlled.controller.state().mode in (Mode.TRACKING, Mode.STOPPING):
            response.message = "the arm moves: stop it first"
            return response
        with self._lock:
            episode = self._controlled.trial.reset(request.task, int(request.seed), variation)
            self._controlled.restart()
            self._begin_anew(request.hold)
        response.accepted, response.instruction = True, episode.instruction
        response.message = f"{request.task}, seed {request.seed}, {variation}"
        if request.hold and self._lockstep is None:
            response.message += "; hold is for lock-step: time goes on"
        return response

    def _begin_anew(self, hold: bool) -> None:
        """Count pictures and steps from now on: every episode has them at the same times."""
        self._cameras.restart(self._controlled.trial.sim.stamp + TICK)
        if self._lockstep is not None:
            self._lockstep.barrier.abandon(hold)

    def _on_judge(
        self, _request: JudgeScene.Request, response: JudgeScene.Response
    ) -> JudgeScene.Response:
        with self._lock:
            verdict, elapsed = self._controlled.trial.verdict, self._controlled.trial.time
        response.success, response.phase, response.reason = (
            verdict.success,
            verdict.phase,
            verdict.reason,
        )
        response.elapsed = elapsed
        response.events = [f"{e.time:.2f} s: {e.name} {e.detail}".strip() for e in verdict.events]
        return response

    def _on_fault(
        self, request: InjectFault.Request, response: InjectFault.Response
    ) -> InjectFault.Response:
        try:
            self._inject(request)
        except (KeyError, ValueError) as error:
            response.message = str(error)
        else:
            response.accepted, response.message = True, f"{request.target}: {request.kind}"
        return response

    def _inject(self, request: InjectFault.Request) -> None:
        sim = self._controlled.trial.sim
        if request.target == "joint_states":
            self._spoil_joint_states(request)
        elif request.target in {camera.name for camera in self.cell.cameras}:
            self._spoil_camera(request)
        elif (request.target, request.kind) == ("clock", "jump"):
            self._stamps.set_forward(round(request.duration * NANOSECONDS))
        elif (request.target, request.kind) == ("plant", "pause"):
            self._held_until = time.monotonic() + request.duration
        elif request.kind == "push":
            sim.push(request.target, request.wrench, request.duration)
        elif request.kind == "block":
            sim.block(request.target, request.duration)
        else:
            raise ValueError(f"{request.target}: {request.kind!r} is no fault of it")

    def _spoil_joint_states(self, request: InjectFault.Request) -> None:
        if request.kind == "clear":
            self._joint_faults.clear()
        else:
            self._joint_faults.set(request.kind, request.joint)

    def _spoil_camera(self, request: InjectFault.Request) -> None:
        cameras = {camera.name for camera in self.cell.cameras}
        if request.other and request.other not in cameras:
            raise ValueError(f"expected another camera of {sorted(cameras)}, got {request.other!r}")
        if request.kind == "clear":
            self._cameras.faults.clear(request.target)
        else:
            self._cameras.faults.set(request.target, request.kind, request.other)

    def end(self) -> None:
        """Stop the threads."""
        self._ending.set()
        if self._lockstep is not None:
            self._lockstep.barrier.end()
        self._plant.join(timeout=5.0)
        self._cameras.end()


def _nobody(_session: int, _sequence: int) -> None:
    """Nobody waits for chunks in real time."""


def main() -> int:
    """Run the node until it is interrupted."""
    give_large_blocks_back()
    return run.main_of(SimNode)
