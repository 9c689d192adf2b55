"""Episodes whose truth is known: a Franka that waves, seen by three cameras with numbered pictures.

What the policy node would have seen and said is made by the policy's own code, fed in the order of
arrival.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from bag_support import SECOND, connection, header
from builtin_interfaces.msg import Time
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Header

from labvla_data.bag.writer import BagWriter
from labvla_data.recording import sidecar as sidecars
from labvla_data.recording.sidecar import Circumstances, Sidecar, Wish
from labvla_msgs.msg import (
    ActionChunk,
    CameraStamp,
    ControllerState,
    ObservationUsed,
    PolicyStatus,
    ProtocolStatus,
    ProtocolStep,
    SimScene,
)
from labvla_policy.runtime.cell import load_cell
from labvla_policy.runtime.observation.assembler import Assembler
from labvla_policy.runtime.observation.rings import camera_rings, state_rings
from labvla_policy.runtime.refusal import Refused
from labvla_policy.runtime.streams.cdr import read_stamp

BEGIN = 1_800_000_000 * SECOND
CLOCK = 37 * SECOND  # by how much the recorder's clock is ahead of the cell's
HEIGHT, WIDTH = 48, 64
JOINT_RATE, STATE_RATE, GRIPPER_RATE, CAMERA_RATE = 200, 50, 30, 30
CAMERAS = ("front", "side", "wrist")
INSTRUCTION = "pick up the beaker"
CELL_FILE = "cell.yaml"
ROOT = Path(__file__).resolve().parents[4]


def write_cell(folder, name="franka", **changes):
    """A small version of a cell that the house ships, with texts replaced."""
    text = (ROOT / "config/cells" / f"{name}.yaml").read_text()
    small = {
        "width: 640": f"width: {WIDTH}",
        "height: 480": f"height: {HEIGHT}",
        "rate: 1000 Hz}\n\ncontroller": f"rate: {JOINT_RATE} Hz}}\n\ncontroller",
    }
    for before, after in {**small, **changes}.items():
        text = text.replace(before, after)
    path = folder / CELL_FILE
    path.write_text(text)
    return path


def measured(t):
    """Joints at a time (s since the beginning)."""
    return 0.1 * np.arange(7) + 0.3 * np.sin(0.8 * t + np.arange(7))


def reference(t):
    return measured(t + 0.02) + 0.01


def finger(t):
    return 0.02 + 0.015 * np.cos(1.1 * t)


def commanded_width(t):
    """Metres between the fingers, set ten times a second."""
    return round(2 * finger(np.floor(t * 10) / 10), 4)


def pixels(number, camera):
    """The picture with a number, so that it can be told from all others."""
    image = np.full((HEIGHT, WIDTH, 3), 40 + 60 * camera, np.uint8)
    image[8:24, 8:24] = (number % 250, number // 250 + 20, 200)
    bar = 3 * number % (WIDTH - 6)  # something that moves, as the arm would
    image[24:30, bar : bar + 6] = 250
    image[30:40, :] = np.linspace(0, 255, WIDTH, dtype=np.uint8)[None, :, None]
    return image


def number_of(image):
    return int(image[10, 10, 0]) + 250 * (int(image[10, 10, 1]) - 20)


@dataclass
class Recording:
    """Messages of an episode, to be changed before they are written."""

    cell: object
    seconds: float = 4.0
    jitter: float = 0.0  # s, of the cameras
    phases: tuple = (0.0, 0.004, -0.003)  # s, of the cameras
    seed: int = 0
    messages: list = field(default_factory=list)  # arrival (cell's clock), topic, kind, data

    def __post_init__(self):
        self.random = np.random.default_rng(self.seed)
        self._pictures()
        self._joints()
        self._controller()

    def add(self, arrival, topic, message, data=None):
        kind = f"{type(message).__module__.split('.')[0]}/msg/{type(message).__name__}"
        self.messages.append((round(arrival), topic, kind, data or serialize_message(message)))

    def stamps(self, rate, phase=0.0, jitter=0.0):
        for number in range(round(self.seconds * rate)):
            shift = self.random.uniform(-jitter, jitter) if jitter else 0.0
            yield number, BEGIN + round((number / rate + phase + shift + 0.01) * SECOND)

    def _pictures(self):
        for camera, phase in zip(self.cell.policy_cameras, self.phases, strict=True):
            for number, stamp in self.stamps(CAMERA_RATE, phase, self.jitter):
                self.picture(camera, number, stamp)

    def picture(self, camera, number, stamp):
        message = Image(height=HEIGHT, width=WIDTH, encoding="rgb8", step=3 * WIDTH)
        message.header = seen_by(camera, stamp)
        message.data = pixels(number, camera.slot).tobytes()
        self.add(stamp + 0.012 * SECOND, camera.topic, message)

    def _joints(self):
        names = list(self.cell.joints)
        for _, stamp in self.stamps(JOINT_RATE):
            t = (stamp - BEGIN) / SECOND
            message = JointState(header=header(stamp), name=names, position=measured(t).tolist())
            self.add(stamp + 0.001 * SECOND, self.cell.joint_states.topic, message)
        gripper = self.cell.arms[0].gripper
        for _, stamp in self.stamps(GRIPPER_RATE):
            position = [float(finger((stamp - BEGIN) / SECOND))]
            message = JointState(header=header(stamp), name=[gripper.joint], position=position)
            self.add(stamp + 0.002 * SECOND, gripper.state_topic, message)

    def _controller(self):
        for _, stamp in self.stamps(STATE_RATE):
            t = (stamp - BEGIN) / SECOND
            message = ControllerState(
                stamp=to_time(stamp),
                joint_names=list(self.cell.joints)[::-1],  # in an order of its own
                reference_positions=reference(t)[::-1].tolist(),
                gripper_names=[self.cell.arms[0].gripper_name],
                gripper_targets=[commanded_width(t)],
            )
            self.add(stamp + 0.002 * SECOND, f"{self.cell.controller.name}/state", message)

    def say(self, seconds, owner="policy", instruction=INSTRUCTION):
        stamp = BEGIN + round(seconds * SECOND)
        message = PolicyStatus(stamp=to_time(stamp), motion_owner=owner, instruction=instruction)
        self.add(stamp, "labvla/status", message)

    def scene(self, seconds, seed, **told):
        """Say what stands on the simulated bench."""
        stamp = BEGIN + round(seconds * SECOND)
        message = SimScene(stamp=to_time(stamp), task="pick", seed=seed, variation="id", **told)
        self.add(stamp, "sim/scene", message)

    def step(self, seconds, text):
        stamp = BEGIN + round(seconds * SECOND)
        message = ProtocolStatus(
            stamp=to_time(stamp),
            state=ProtocolStatus.RUNNING,
            steps=[ProtocolStep(text="wait"), ProtocolStep(text=text)],
            current_step=1,
        )
        self.add(stamp, "labvla/protocol", message)

    def chunk(self, seconds, rows=30, latency=0.1, instruction=INSTRUCTION):
        """A plan along the reference, seen at a time and there a little later."""
        seen = BEGIN + round(seconds * SECOND)
        start = seen + SECOND // 30
        times = (start - BEGIN) / SECOND + np.arange(rows) / 30
        message = ActionChunk(
            observation_stamp=to_time(seen),
            plan_start=to_time(start),
            dt=1 / 30,
            rows=rows,
            joint_names=list(self.cell.joints),
            joint_targets=np.array([reference(t) for t in times]).ravel().tolist(),
            gripper_names=[self.cell.arms[0].gripper_name],
            gripper_targets=[commanded_width(t) for t in times],
            inference_latency=latency,
            instruction=instruction,
        )
        self.add(seen + latency * SECOND, "labvla/action_chunk", message)

    def observe(self, every=0.21, latency=0.03):
        """Let a policy node look at what has arrived; return what it says it has used."""
        states, cameras = state_rings(self.cell), camera_rings(self.cell)
        rings = {
            **states,
            **{camera.topic: cameras[camera.name] for camera in self.cell.policy_cameras},
        }
        assembler = Assembler(self.cell, states, cameras)
        waiting = sorted(
            (m for m in self.messages if m[1] in rings), key=lambda message: message[0]
        )
        said = []
        for sequence, seconds in enumerate(np.arange(0.5, self.seconds - 0.2, every), 1):
            t = BEGIN + round(seconds * SECOND)
            while waiting and waiting[0][0] <= t:
                arrival, topic, _, data = waiting.pop(0)
                rings[topic].push(data, read_stamp(data), arrival)
            try:
                seen = assembler.assemble(t, INSTRUCTION)
            except Refused:
                continue
            message = ObservationUsed(
                session=1,
                sequence=sequence,
                state_stamp=to_time(seen.stamp),
                camera_stamps=[
                    CameraStamp(camera=c.camera, stamp=to_time(c.stamp)) for c in seen.camera_stamps
                ],
                skew=seen.skew / SECOND,
                age=seen.age / SECOND,
                joint_names=list(seen.joint_names),
                joint_positions=seen.positions.tolist(),
                instruction=seen.instruction,
                hash=np.frombuffer(seen.hash, np.uint8),
            )
            said.append((t + latency * SECOND, message))
        for arrival, message in said:
            self.add(arrival, "labvla/observation_used", message)
        return [message for _, message in said]

    def without(self, topic, begin=0.0, end=np.inf):
        """Lose what arrives on a topic between two times."""
        low, high = BEGIN + begin * SECOND, BEGIN + end * SECOND
        self.messages = [m for m in self.messages if not (m[1] == topic and low <= m[0] <= high)]
        return self

    def as_jpeg(self):
        """What the recorder keeps when it is told to keep compressed pictures."""
        import cv2

        changed = []
        for arrival, topic, kind, data in self.messages:
            camera = next((c for c in self.cell.cameras if c.topic == topic), None)
            if camera is None:
                changed.append((arrival, topic, kind, data))
                continue
            stamp = read_stamp(data)
            image = pixels(round((stamp - BEGIN) / SECOND * CAMERA_RATE), camera.slot)
            encoded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
            message = CompressedImage(format="rgb8; jpeg compressed bgr8", data=encoded.tobytes())
            message.header = seen_by(camera, stamp)
            compressed = "sensor_msgs/msg/CompressedImage"
            changed.append((arrival, f"{topic}/compressed", compressed, serialize_message(message)))
        self.messages = changed
        return self

    def write(
        self, folder, *, prefix="/", cell=True, sidecar=True, finish=True, wish=None, **known
    ):
        """Write the bag as the recorder does."""
        writer = BagWriter(folder)
        channels = {}
        for arrival, topic, kind, data in sorted(self.messages, key=lambda m: m[0]):
            if topic not in channels:
                channels[topic] = writer.add_connection(connection(prefix + topic, kind))
            writer.add(channels[topic], 0, arrival + CLOCK, arrival + CLOCK, data)
            if writer.waiting > 1_000_000:
                writer.flush()
        writer.finish()
        writer.close()
        if cell:
            (folder / CELL_FILE).write_text(Path(self.cell.origin.file).read_text())
        if sidecar:
            Sidecar(
                episode_id=folder.name,
                bag=writer.path.name,
                cell_file=CELL_FILE,
                begin=BEGIN + CLOCK,
                wish=wish or Wish(INSTRUCTION, "ada", "a note", ("training",)),
                circumstances=Circumstances(
                    cell=self.cell.name, cell_hash=self.cell.hash, engine="expert"
                ),
                state=sidecars.FINISHED if finish else sidecars.RECORDING,
                end=BEGIN + CLOCK + round(self.seconds * SECOND),
                **{"outcome": "success", **known},
            ).save(folder, durable=False)
        return folder


def seen_by(camera, stamp):
    return Header(stamp=to_time(stamp), frame_id=camera.frame_id)


def to_time(stamp):
    return Time(sec=stamp // SECOND, nanosec=stamp % SECOND)


def record(folder, name="one", seconds=4.0, **options):
    """An ordinary episode."""
    cell_folder = folder / f"cell-of-{name}"
    cell_folder.mkdir()
    cell = load_cell(write_cell(cell_folder), any_name=True)
    return Recording(cell, seconds, **options).write(folder / name)
