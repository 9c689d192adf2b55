"""Bags as a Franka cell records them: three raw cameras, joint states at 1 kHz, a controller."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Header

from labvla_data.bag.connection import Connection
from labvla_data.bag.definitions import definition
from labvla_data.bag.writer import BagWriter
from labvla_data.recording import sidecar as sidecars
from labvla_data.recording.sidecar import Circumstances, Sidecar, Wish
from labvla_msgs.msg import ControllerState
from labvla_policy.runtime.cell import Camera, Cell
from labvla_policy.runtime.types import NANOSECONDS

BEGIN = 1_800_000_000 * NANOSECONDS
CONTROLLER_RATE, GRIPPER_RATE = 50.0, 30.0
_SENSOR_NOISE = 2.0  # levels, standard deviation
_NOISE_FIELDS = 16  # drawn once: noise is what costs an encoder time, not where it comes from
_FLUSH = 4_000_000  # bytes

Event = tuple[int, int, bytes]  # stamp, channel, message


def write_bag(folder: Path, cell: Cell, seconds: float, seed: int) -> int:
    """Write an episode; return the bytes of its file."""
    writer = BagWriter(folder)
    streams = []
    for camera in cell.policy_cameras:
        channel = writer.add_connection(_connection(camera.topic, "sensor_msgs/msg/Image"))
        streams.append(_pictures(camera, channel, seconds, seed))
    states = "sensor_msgs/msg/JointState"
    joints, gripper = cell.joint_states, cell.arms[0].gripper
    streams.append(_joints(writer.add_connection(_connection(joints.topic, states)), cell, seconds))
    streams.append(
        _gripper(writer.add_connection(_connection(gripper.state_topic, states)), cell, seconds)
    )
    topic = f"{cell.controller.name}/state"
    channel = writer.add_connection(_connection(topic, "labvla_msgs/msg/ControllerState"))
    streams.append(_controller(channel, cell, seconds))
    # One period after the other, so that bags of any length fit into memory.
    heads = [next(stream, None) for stream in streams]
    while any(heads):
        first = min((head[0], n) for n, head in enumerate(heads) if head is not None)[1]
        head = heads[first]
        assert head is not None
        stamp, channel, data = head
        heads[first] = next(streams[first], None)
        writer.add(channel, 0, stamp, stamp, data)
        if writer.waiting > _FLUSH:
            writer.flush()
    writer.finish()
    writer.close()
    cell_file = Path(cell.origin.file)
    shutil.copyfile(cell_file, folder / cell_file.name)
    Sidecar(
        episode_id=folder.name,
        bag=writer.path.name,
        cell_file=cell_file.name,
        begin=BEGIN,
        wish=Wish("pick up the beaker", "benchmark"),
        circumstances=Circumstances(cell=cell.name),
        state=sidecars.FINISHED,
        end=BEGIN + round(seconds * NANOSECONDS),
        outcome="success",
    ).save(folder, durable=False)
    return writer.path.stat().st_size


def _connection(topic: str, kind: str) -> Connection:
    return Connection(f"/{topic}", kind, definition(kind))


def _stamps(rate: float, seconds: float) -> Iterator[int]:
    for number in range(int(seconds * rate)):
        yield BEGIN + round(number * NANOSECONDS / rate)


def _header(stamp: int, frame: str = "") -> Any:
    time = Time(sec=stamp // NANOSECONDS, nanosec=stamp % NANOSECONDS)
    return Header(stamp=time, frame_id=frame)


def _pictures(camera: Camera, channel: int, seconds: float, seed: int) -> Iterator[Event]:
    """Yield pictures of a bench with something that moves, seen by a sensor with noise."""
    random = np.random.default_rng([seed, camera.slot or 0])
    height, width = camera.height, camera.width
    bench = _texture(random, height, width)
    noise = random.normal(0.0, _SENSOR_NOISE, (_NOISE_FIELDS, height, width, 3)).astype(np.int16)
    message = Image(height=height, width=width, encoding="rgb8", step=3 * width)
    for number, stamp in enumerate(_stamps(camera.rate, seconds)):
        picture = bench.copy()
        for blob in range(3):
            angle = number / 25 + blob
            centre = (
                int(width * (0.5 + 0.3 * np.sin(angle))),
                int(height * (0.5 + 0.3 * np.cos(1.3 * angle))),
            )
            cv2.circle(picture, centre, 25 + 10 * blob, (200 - 60 * blob, 60 * blob, 90), -1)
        seen = np.clip(picture + noise[number % _NOISE_FIELDS], 0, 255).astype(np.uint8)
        message.header = _header(stamp, camera.frame_id or "")
        message.data = seen.tobytes()
        yield stamp, channel, serialize_message(message)


def _texture(random: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    rough = random.integers(0, 255, (height, width, 3)).astype(np.uint8)
    smooth = cv2.GaussianBlur(rough, (0, 0), 7).astype(np.float64)
    smooth = (smooth - smooth.min()) / np.ptp(smooth) * 200 + 30
    return np.asarray(smooth, dtype=np.uint8)


def _motion(cell: Cell, seconds: float) -> list[float]:
    wave = 0.3 * np.sin(0.8 * seconds + np.arange(len(cell.joints)))
    return [float(value) for value in wave]


def _joints(channel: int, cell: Cell, seconds: float) -> Iterator[Event]:
    still = [0.0] * len(cell.joints)
    message = JointState(name=list(cell.joints), velocity=still, effort=still)
    for stamp in _stamps(cell.joint_states.rate, seconds):
        message.header = _header(stamp)
        message.position = _motion(cell, (stamp - BEGIN) / NANOSECONDS)
        yield stamp, channel, serialize_message(message)


def _gripper(channel: int, cell: Cell, seconds: float) -> Iterator[Event]:
    message = JointState(
        name=[cell.arms[0].gripper.joint], position=[0.03], velocity=[0.0], effort=[0.0]
    )
    for stamp in _stamps(GRIPPER_RATE, seconds):
        message.header = _header(stamp)
        yield stamp, channel, serialize_message(message)


def _controller(channel: int, cell: Cell, seconds: float) -> Iterator[Event]:
    still = [0.0] * len(cell.joints)
    message = ControllerState(
        joint_names=list(cell.joints),
        reference_velocities=still,
        reference_accelerations=still,
        measured_positions=still,
        measured_velocities=still,
        commands=still,
        gripper_names=[cell.arms[0].gripper_name],
        gripper_targets=[0.06],
    )
    for stamp in _stamps(CONTROLLER_RATE, seconds):
        message.stamp = _header(stamp).stamp
        message.reference_positions = _motion(cell, (stamp - BEGIN) / NANOSECONDS + 0.02)
        yield stamp, channel, serialize_message(message)
