"""How questions and predictions travel between the node and the engine's process.

Numbers and names go as one line of JSON through a socket, arrays through memory that both map: a
picture is copied once and never serialised. Nothing that arrives is executed (no pickle).
"""

from __future__ import annotations

import json
import mmap
import select
import socket
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from labvla_policy.engines.base import Question
from labvla_policy.runtime.refusal import Refusal
from labvla_policy.runtime.types import CameraStamp, Observation, Prediction, Prefix

Message = dict[str, Any]
Arrays = dict[str, np.ndarray[Any, Any]]

MOST_BYTES = 64 * 1024 * 1024  # three 1080p pictures and a lot of rows fit several times
_HEADER = 8  # bytes that carry the length of a message
_LONGEST_MESSAGE = 1024 * 1024


class PeerGone(ConnectionError):
    """The other process has ended."""


class PeerSilent(TimeoutError):
    """The other process did not answer in time."""


class Wire:
    """One end of the connection: a socket for messages, shared memory for arrays."""

    def __init__(self, connection: socket.socket, memory: int) -> None:
        self._socket = connection
        self._memory = mmap.mmap(memory, MOST_BYTES)

    def close(self) -> None:
        """Release both."""
        self._socket.close()
        self._memory.close()

    def send(self, message: Message, arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Send a message; its arrays have to be taken by the other side before the next one."""
        end = 0
        places = {}
        for name, array in arrays.items():
            block = np.ascontiguousarray(array)
            if end + block.nbytes > MOST_BYTES:
                raise ValueError(f"{name}: {block.nbytes} bytes do not fit the shared memory")
            places[name] = [end, str(block.dtype), list(block.shape)]
            # Never an array over the mapping: kept alive by an exception it forbids to close it.
            self._memory[end : end + block.nbytes] = block.reshape(-1).view(np.uint8).data
            end += -(-block.nbytes // 64) * 64  # aligned for the processor
        text = json.dumps({**message, "arrays": places}).encode()
        try:
            self._socket.sendall(len(text).to_bytes(_HEADER, "little") + text)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise PeerGone(str(error)) from None

    def receive(self, timeout: float | None = None) -> Message:
        """Wait for a message; `arrays` in it are copies that stay."""
        deadline = None if timeout is None else time.monotonic() + timeout
        length = int.from_bytes(self._read(_HEADER, deadline), "little")
        if length > _LONGEST_MESSAGE:
            raise PeerGone(f"a message of {length} bytes was announced: the connection is broken")
        message: Message = json.loads(self._read(length, deadline))
        message["arrays"] = {name: self._array(*place) for name, place in message["arrays"].items()}
        return message

    def _array(self, offset: int, dtype: str, shape: list[int]) -> np.ndarray[Any, Any]:
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        return np.frombuffer(self._memory[offset : offset + size], dtype).reshape(shape)

    def _read(self, size: int, deadline: float | None) -> bytes:
        data = b""
        while len(data) < size:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not select.select([self._socket], [], [], left)[0]:
                raise PeerSilent("no answer in time")
            try:
                piece = self._socket.recv(size - len(data))
            except ConnectionResetError as error:
                raise PeerGone(str(error)) from None
            if not piece:
                raise PeerGone("the connection was closed")
            data += piece
        return data


def send_question(wire: Wire, verb: str, question: Question) -> None:
    """Send a question to the engine's process."""
    message, arrays = _of_observation(question.observation)
    prefix: Message | None = None
    if question.prefix is not None:
        prefix, rows = _of_rows(question.prefix)
        prefix |= {"start": question.prefix.start, "frozen": question.prefix.frozen}
        arrays |= {f"prefix_{name}": array for name, array in rows.items()}
    wire.send({**message, "verb": verb, "prefix": prefix}, arrays)


def to_question(message: Message) -> Question:
    """Return the question in a message."""
    prefix, arrays = message["prefix"], message["arrays"]
    if prefix is None:
        return Question(_to_observation(message))
    return Question(
        _to_observation(message),
        Prefix(
            start=prefix["start"],
            dt=prefix["dt"],
            joint_names=tuple(prefix["joint_names"]),
            joint_targets=arrays["prefix_joints"],
            gripper_names=tuple(prefix["gripper_names"]),
            gripper_targets=arrays["prefix_grippers"],
            frozen=prefix["frozen"],
        ),
    )


def _of_observation(observation: Observation) -> tuple[Message, Arrays]:
    pictures = {
        f"image{slot}": image for slot, image in enumerate(observation.images) if image is not None
    }
    arrays: Arrays = {
        "positions": observation.positions,
        "grippers": observation.grippers,
        "state": observation.state,
        **({} if observation.reference is None else {"reference": observation.reference}),
        **pictures,
    }
    message = {
        "stamp": observation.stamp,
        "joint_names": observation.joint_names,
        "instruction": observation.instruction,
        "slots": len(observation.images),
        "camera_stamps": [[c.camera, c.stamp] for c in observation.camera_stamps],
        "skew": observation.skew,
        "age": observation.age,
    }
    return message, arrays


def _to_observation(message: Message) -> Observation:
    arrays = message["arrays"]
    return Observation(
        stamp=message["stamp"],
        joint_names=tuple(message["joint_names"]),
        positions=arrays["positions"],
        instruction=message["instruction"],
        grippers=arrays["grippers"],
        state=arrays["state"],
        images=tuple(arrays.get(f"image{slot}") for slot in range(message["slots"])),
        camera_stamps=tuple(CameraStamp(*pair) for pair in message["camera_stamps"]),
        skew=message["skew"],
        age=message["age"],
        reference=arrays.get("reference"),
    )


def send_prediction(wire: Wire, prediction: Prediction) -> None:
    """Send a prediction to the node."""
    message, arrays = _of_rows(prediction)
    message |= {"plan_start": prediction.plan_start, "prefix_rows": prediction.prefix_rows}
    wire.send(message, arrays)


def to_prediction(message: Message) -> Prediction:
    """Return the prediction in a message."""
    return Prediction(
        plan_start=message["plan_start"],
        dt=message["dt"],
        joint_names=tuple(message["joint_names"]),
        joint_targets=message["arrays"]["joints"],
        gripper_names=tuple(message["gripper_names"]),
        gripper_targets=message["arrays"]["grippers"],
        prefix_rows=message["prefix_rows"],
    )


def send_refusal(wire: Wire, refusal: Refusal) -> None:
    """Tell the node by name why there is no prediction."""
    wire.send({"refusal": asdict(refusal)}, {})


def to_refusal(message: Message) -> Refusal | None:
    """Return the refusal in a message, if it is one."""
    return Refusal(**message["refusal"]) if "refusal" in message else None


def _of_rows(plan: Prefix | Prediction) -> tuple[Message, Arrays]:
    message = {
        "dt": plan.dt,
        "joint_names": plan.joint_names,
        "gripper_names": plan.gripper_names,
    }
    return message, {"joints": plan.joint_targets, "grippers": plan.gripper_targets}
