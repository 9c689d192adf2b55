"""The streams that both nodes get: names, rates, and messages that are serialised beforehand.

Only stamps are patched in before a message is sent: the sender must not be what is measured.
"""

from __future__ import annotations

import array
import struct
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import yaml
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image, JointState

from labvla_bringup.bench_cell import bench_cell
from labvla_policy.runtime.cell import Cell, load_cell
from labvla_policy.runtime.cell.write import written
from labvla_policy.runtime.types import NANOSECONDS

PICTURES = 8  # different ones, in turn
SWING = 0.02  # rad, of the joints about the posture
SWING_PERIOD = 2.0  # s
_STAMP = struct.Struct("<iI")
_STAMP_AT = 4  # behind the encapsulation header


@dataclass(frozen=True)
class Load:
    """What the cameras and the robot send."""

    width: int
    height: int
    joint_rate: float  # Hz
    phases: tuple[float, ...]  # s, of the cameras; all zero: triggered together

    @property
    def name(self) -> str:
        """What tables call it."""
        how = "" if not any(self.phases) else ", free-running"
        return f"{self.width} x {self.height}, joints {self.joint_rate:g} Hz{how}"


def write_cell(name: str, load: Load, folder: Path) -> Cell:
    """Write the cell as the load makes it into a folder, and return it."""
    cell = bench_cell(load_cell(name))
    cameras = tuple(replace(c, width=load.width, height=load.height) for c in cell.cameras)
    states = replace(cell.joint_states, rate=load.joint_rate)
    changed = replace(cell, cameras=cameras, joint_states=states)
    path = folder / f"{cell.name}.yaml"
    path.write_text(yaml.safe_dump(written(changed), sort_keys=False))
    return load_cell(path)


def posture(cell: Cell) -> np.ndarray:
    """Return where the joints swing about."""
    return np.concatenate([np.asarray(arm.posture("ready").joints) for arm in cell.arms])


def swing(cell: Cell, seconds: float) -> np.ndarray:
    """Return the joints at a time."""
    joints: np.ndarray = posture(cell) + SWING * np.sin(2 * np.pi * seconds / SWING_PERIOD)
    return joints


def pictures(load: Load, frame: str) -> list[bytearray]:
    """Return serialised pictures of noise; what is compressed on the way would be favoured else."""
    random = np.random.default_rng(0)
    return [bytearray(serialize_message(_picture(load, frame, random))) for _ in range(PICTURES)]


def _picture(load: Load, frame: str, random: np.random.Generator) -> Image:
    message = Image(height=load.height, width=load.width, encoding="rgb8", step=3 * load.width)
    message.header.frame_id = frame
    pixels = random.integers(0, 256, load.height * load.width * 3, dtype=np.uint8)
    message.data = array.array("B", pixels.tobytes())
    return message


def joint_states(cell: Cell, load: Load) -> list[bytearray]:
    """Return the serialised joint states of one swing."""
    count = round(SWING_PERIOD * load.joint_rate)
    return [
        bytearray(
            serialize_message(
                JointState(
                    name=cell.joints,
                    position=swing(cell, k / load.joint_rate),
                    velocity=[0.0] * len(cell.joints),
                    effort=[0.0] * len(cell.joints),
                )
            )
        )
        for k in range(count)
    ]


def gripper_states(cell: Cell) -> dict[str, bytearray]:
    """Return a serialised gripper state for each topic, half open."""
    found = {}
    for arm in cell.arms:
        gripper = arm.gripper
        message = JointState(name=[gripper.joint], position=[(gripper.open + gripper.closed) / 2])
        found[gripper.state_topic] = bytearray(serialize_message(message))
    return found


def stamped(message: bytearray, stamp: int) -> bytes:
    """Return the message with this stamp."""
    _STAMP.pack_into(message, _STAMP_AT, *divmod(stamp, NANOSECONDS))
    return bytes(message)
