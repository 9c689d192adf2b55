"""Observations and plans for tests, and what a refusal is expected to look like."""

import struct
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest

from labvla_policy.runtime.cell import Cell, load_cell
from labvla_policy.runtime.gate.rules import Situation
from labvla_policy.runtime.observation.assembler import Assembler, AssemblySettings
from labvla_policy.runtime.refusal import Refusal, Refused
from labvla_policy.runtime.streams.ring import Ring
from labvla_policy.runtime.types import Observation, Prediction

MS = 1_000_000
T0 = 1_700_000_000 * 1_000_000_000


@cache
def cell_of(name: str) -> Cell:
    return load_cell(name)


def posture(cell: Cell, name: str = "ready") -> np.ndarray:
    return np.concatenate([arm.posture(name).joints for arm in cell.arms])


def refusal_of(action: Callable[[], object]) -> Refusal:
    with pytest.raises(Refused) as refused:
        action()
    return refused.value.refusal


def outcome(action: Callable[[], object]) -> str:
    """Return the reason of the refusal, or "done"."""
    try:
        action()
    except Refused as refused:
        return refused.refusal.reason
    return "done"


class JointState(NamedTuple):
    """What a bench or a driver says about joints."""

    name: tuple[str, ...]
    position: Any


class Bench:
    """A cell whose messages come as a test wants them; pictures differ from frame to frame."""

    def __init__(self, name: str = "franka", **settings: Any) -> None:
        self.cell = cell_of(name)
        self.positions = posture(self.cell)
        self.finger = 0.03
        topics = {self.cell.joint_states.topic, *(a.gripper.state_topic for a in self.cell.arms)}
        self.states = {topic: Ring(lambda raw: raw, rate=1000, capacity=400) for topic in topics}
        self.cameras = {
            camera.name: Ring(lambda raw: raw, rate=camera.rate, capacity=12)
            for camera in self.cell.policy_cameras
        }
        self.assembler = Assembler(
            self.cell, self.states, self.cameras, AssemblySettings(**settings)
        )
        self._pictures = np.random.default_rng(0)

    def joints(self, stamp: int, positions: Any = None, names: Any = None) -> None:
        """The topic of the arms; it carries those grippers too that are read from it."""
        positions = self.positions if positions is None else positions
        names = self.cell.joints if names is None else names
        topic = self.cell.joint_states.topic
        fingers = self._fingers(topic)
        message = JointState((*names, *fingers), [*positions, *[self.finger] * len(fingers)])
        self.states[topic].push(message, stamp, stamp)

    def grippers(self, stamp: int) -> None:
        """The topics that carry grippers alone."""
        for topic in set(self.states) - {self.cell.joint_states.topic}:
            fingers = self._fingers(topic)
            message = JointState(fingers, [self.finger] * len(fingers))
            self.states[topic].push(message, stamp, stamp)

    def _fingers(self, topic: str) -> tuple[str, ...]:
        grippers = [arm.gripper for arm in self.cell.arms]
        return tuple(gripper.joint for gripper in grippers if gripper.state_topic == topic)

    def frame(self, camera: str, stamp: int, picture: Any = None) -> None:
        if picture is None:
            picture = self._pictures.integers(0, 256, (48, 64, 3), dtype=np.uint8)
        self.cameras[camera].push(picture, stamp, stamp)

    def everything(self, stamp: int) -> None:
        self.joints(stamp)
        self.grippers(stamp)
        for camera in self.cameras:
            self.frame(camera, stamp)

    def assemble(self, t: int, instruction: str = "pick up the beaker") -> Observation:
        return self.assembler.assemble(t, instruction)

    def refusal(self, t: int) -> Refusal:
        return refusal_of(lambda: self.assemble(t))


class _Writer:
    """Serialises the way in which test_cdr's recorded bytes are written: CDR, little-endian."""

    def __init__(self, stamp: int, frame_id: str = "frame") -> None:
        self.body = b""
        self.add("iI", stamp // 1_000_000_000, stamp % 1_000_000_000).text(frame_id)

    def add(self, form: str, *values: Any) -> "_Writer":
        for code, value in zip(form, values, strict=True):
            item = struct.pack("<" + code, value)
            self.body += b"\0" * (-len(self.body) % len(item)) + item
        return self

    def text(self, text: str) -> "_Writer":
        self.add("I", len(text) + 1).body += text.encode() + b"\0"
        return self

    @property
    def message(self) -> bytes:
        return b"\0\1\0\0" + self.body


def serialised_image(
    stamp: int, encoding: str, pixels: np.ndarray, frame_id: str | None = None
) -> bytes:
    height, width = pixels.shape[:2]
    data = pixels.tobytes()
    writer = _Writer(stamp, frame_id or "frame").add("II", height, width).text(encoding)
    writer.add("BII", 0, len(data) // height, len(data)).body += data
    return writer.message


def serialised_joints(stamp: int, names: list[str], positions: list[float]) -> bytes:
    writer = _Writer(stamp).add("I", len(names))
    for name in names:
        writer.text(name)
    writer.add("I" + "d" * len(positions), len(positions), *positions)
    return writer.add("II", 0, 0).message


def plan_of(
    cell: Cell, targets: Any, start: int = T0, dt: float | None = None, openings: Any = None
) -> Prediction:
    targets = np.asarray(targets, dtype=np.float64)
    if openings is None:
        openings = np.full((len(targets), len(cell.arms)), 0.04)
    return Prediction(
        plan_start=start,
        dt=1 / cell.policy.row_rate if dt is None else dt,
        joint_names=cell.joints,
        joint_targets=targets,
        gripper_names=tuple(arm.gripper_name for arm in cell.arms),
        gripper_targets=openings,
    )


def at_rest(cell: Cell, positions: Any = None, **more: Any) -> Situation:
    positions = posture(cell) if positions is None else np.asarray(positions, dtype=np.float64)
    return Situation(T0, positions, np.zeros(len(positions)), **more)
