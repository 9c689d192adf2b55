"""The rings that a cell needs; as a rule for messages as the middleware delivers them."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from labvla_policy.runtime.cell import Camera, Cell
from labvla_policy.runtime.observation.assembler import CameraRing, JointRing
from labvla_policy.runtime.refusal import Refusal, Refused
from labvla_policy.runtime.streams import cdr
from labvla_policy.runtime.streams.image import ImageFormat, ImageMessage, decode
from labvla_policy.runtime.streams.ring import Ring
from labvla_policy.runtime.types import Pixels

# Long enough to find the joint state of a picture that is as old as an observation may be.
HISTORY = 0.4  # s
FEWEST_FRAMES = 4
MOST_FRAMES = 12  # 12 pictures of 640 x 480 are 11 MB


def state_rings(
    cell: Cell, decode: Callable[[Any], Any] = cdr.read_joint_state
) -> dict[str, JointRing]:
    """Return a ring of joint states for every topic that the cell reads them from."""
    topics = [cell.joint_states.topic, *(arm.gripper.state_topic for arm in cell.arms)]
    rate = cell.joint_states.rate
    capacity = math.ceil(rate * HISTORY)
    return {topic: Ring(decode, rate=rate, capacity=capacity) for topic in dict.fromkeys(topics)}


def camera_rings(
    cell: Cell,
    convert: Callable[[ImageMessage], Pixels] | None = None,
    decoder: Callable[[Camera], Callable[[Any], Pixels]] | None = None,
) -> dict[str, CameraRing]:
    """Return a ring of pictures for every camera that the policy sees.

    They are serialised messages, unless a `decoder` makes the pictures of each camera from
    something else; `convert` is asked about encodings that are not built in.
    """

    def serialised(camera: Camera) -> Callable[[Any], Pixels]:
        return partial(decode_message, camera, convert)

    return {
        camera.name: Ring(
            (decoder or serialised)(camera),
            rate=camera.rate,
            capacity=min(max(math.ceil(camera.rate * HISTORY), FEWEST_FRAMES), MOST_FRAMES),
            latency=camera.latency,
        )
        for camera in cell.policy_cameras
    }


def decode_message(
    camera: Camera, convert: Callable[[ImageMessage], Pixels] | None, message: Any
) -> Pixels:
    """Return the pixels of a serialised message of a camera, or refuse it."""
    read = cdr.read_compressed_image if camera.encoding == "jpeg" else cdr.read_image
    picture = read(message)
    if camera.frame_id is not None and picture.frame_id != camera.frame_id:
        raise Refused(
            Refusal(
                "image_frame",
                f"expected pictures of {camera.frame_id!r} on {camera.topic}, got one of "
                f"{picture.frame_id!r}: two topics are mixed up, or correct the cell's `frame_id`",
            )
        )
    return decode(picture, ImageFormat(camera.encoding, camera.width, camera.height), convert)
