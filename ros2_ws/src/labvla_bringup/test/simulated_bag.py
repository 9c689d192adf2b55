"""Bags of episodes that the expert drives in simulated time: the motion is real, pictures are not.

Written with the messages that a recorder would have got, and none of the machine's clock in it.
"""

from pathlib import Path

import numpy as np
from builtin_interfaces.msg import Time
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image, JointState

from labvla_data.bag.connection import Connection
from labvla_data.bag.definitions import definition
from labvla_data.bag.metadata import Qos
from labvla_data.bag.writer import BagWriter
from labvla_data.recording import sidecar as sidecars
from labvla_data.recording.sidecar import Circumstances, Sidecar, Wish
from labvla_msgs.msg import ControllerState, SimScene
from labvla_sim.closed_loop import EpisodeRunner, truth_of
from labvla_sim.experts.engine import TruthEngine
from labvla_sim.plant import SimCell
from labvla_sim.plant.gripper_joints import gripper_readings
from labvla_sim.tasks import Trial, sample_episode

SECOND = 1_000_000_000
CELL_FILE = "cell.yaml"
SIDE = 16
_EVERY = {"joints": 5, "state": 20, "scene": 33, "cameras": 33}  # ms
_TAIL = 0.5  # s after the success: actions lie one row after states


def to_time(stamp):
    return Time(sec=stamp // SECOND, nanosec=stamp % SECOND)


class Recorder:
    """Takes down what the sensors, the controller and the simulator say."""

    def __init__(self, trial):
        self._trial, self._cell, self._ticks = trial, trial.sim.cell, 0
        self.messages = []  # topic, stamp, message

    def cycle(self, measured, control):
        due = {what for what, every in _EVERY.items() if self._ticks % every == 0}
        self._ticks += 1
        stamp = measured.stamp
        if "joints" in due:
            self._states(stamp, measured)
        if "state" in due:
            message = ControllerState(
                stamp=to_time(stamp),
                joint_names=list(self._cell.joints),
                reference_positions=control.position,
                gripper_names=[arm.gripper_name for arm in self._cell.arms],
                gripper_targets=control.gripper,
            )
            self.messages.append((f"{self._cell.controller.name}/state", stamp, message))
        if "scene" in due:
            episode = self._trial.episode
            message = SimScene(
                stamp=to_time(stamp),
                task=episode.task,
                seed=episode.seed,
                variation=episode.variation,
                positions=self._trial.sim.snapshot().positions,
            )
            self.messages.append(("sim/scene", stamp, message))
        if "cameras" in due:
            self._pictures(stamp)

    def handover(self, t, plan):
        """Plans are not recorded: the controller's state says what became of them."""

    def _states(self, stamp, measured):
        joints = JointState(name=list(self._cell.joints), position=measured.positions)
        told = {self._cell.joint_states.topic: joints}
        for topic, reading in gripper_readings(self._cell, measured).items():
            told[topic] = JointState(name=list(reading.names), position=reading.positions)
        for topic, message in told.items():
            message.header.stamp = to_time(stamp)
            self.messages.append((topic, stamp, message))

    def _pictures(self, stamp):
        for camera in self._cell.policy_cameras:
            message = Image(height=SIDE, width=SIDE, encoding="rgb8", step=3 * SIDE)
            message.header.stamp = to_time(stamp)
            message.header.frame_id = camera.frame_id or ""
            shade = self._ticks // 10 % 200 + np.arange(3 * SIDE * SIDE) % 50
            message.data = shade.astype(np.uint8).tobytes()
            self.messages.append((camera.topic, stamp, message))


def small_cell(folder, cell):
    """Write a copy of a cell whose pictures are small and whose joints come at a calm rate."""
    text = Path(cell.origin.file).read_text()
    text = text.replace("width: 640", f"width: {SIDE}").replace("height: 480", f"height: {SIDE}")
    (folder / CELL_FILE).write_text(
        text.replace("rate: 1000 Hz}\n\ncontroller", "rate: 200 Hz}\n\ncontroller")
    )


def record(folder, cell, task, seed, *, limit=20.0, scene=True):
    """Let the expert do a task and write the bag; return how the episode ended."""
    trial = Trial(SimCell(cell))
    recorder = Recorder(trial)
    runner = EpisodeRunner(trial, TruthEngine(cell, lambda: truth_of(trial)))
    result = runner.run(sample_episode(cell, task, seed), recorder=recorder, limit=limit)
    writer = BagWriter(folder)
    channels = {}
    begin = recorder.messages[0][1]
    for topic, stamp, message in recorder.messages:
        if topic == "sim/scene" and not scene:
            continue
        if topic not in channels:
            kind = f"{type(message).__module__.split('.')[0]}/msg/{type(message).__name__}"
            channels[topic] = writer.add_connection(
                Connection(f"/{topic}", kind, definition(kind), "", (Qos("reliable", depth=5),))
            )
        writer.add(channels[topic], 0, stamp, stamp, serialize_message(message))
    writer.finish()
    writer.close()
    small_cell(folder, cell)
    Sidecar(
        episode_id=folder.name,
        bag=writer.path.name,
        cell_file=CELL_FILE,
        begin=begin,
        wish=Wish(instruction=trial.episode.instruction, operator="expert"),
        circumstances=Circumstances(cell=cell.name, engine="expert"),
        state=sidecars.FINISHED,
        end=recorder.messages[-1][1],
        outcome="success" if result.success else "failure",
    ).save(folder)
    return result
