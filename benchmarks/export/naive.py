"""A converter as one writes it in an afternoon, from the usual parts.

rosbags decodes every message into an object; all of an episode is kept in memory; pictures and
states are matched to a grid by the nearest stamp; then every picture becomes a PNG file, and the
PNG files become H.264 with the settings of LeRobot 0.3.3 (a key frame every second frame, crf 30).
One thread, one episode after the other. The rows are the same in number and meaning as those of
`labvla export`; hashes, checks, statistics of pictures and safety against interruption are missing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from labvla_data.bag.definitions import definition
from labvla_policy.runtime.cell import Cell
from labvla_policy.runtime.types import NANOSECONDS

_OPTIONS = {"g": "2", "crf": "30"}


def convert(bags: Sequence[Path], target: Path, cell: Cell, fps: int) -> int:
    """Convert bags; return the number of frames."""
    return sum(_convert(bag, target, cell, fps, n) for n, bag in enumerate(bags))


def _convert(bag: Path, target: Path, cell: Cell, fps: int, number: int) -> int:
    streams = _read(bag, cell)
    cameras = [f"/{camera.topic}" for camera in cell.policy_cameras]
    begin = max(stamps[0] for stamps, _ in streams.values())
    end = min(stamps[-1] for stamps, _ in streams.values())
    grid = np.arange(begin, end, NANOSECONDS / fps).astype(np.int64)
    chosen = {topic: _nearest(stamps, grid) for topic, (stamps, _) in streams.items()}
    rows = _rows(streams, chosen, cell)
    path = target / f"data/chunk-000/episode_{number:06d}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(rows), path)
    for topic, camera in zip(cameras, cell.policy_cameras, strict=True):
        messages = streams[topic][1]
        video = target / f"videos/chunk-000/observation.images.{camera.name}"
        video.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target) as folder:
            for frame, at in enumerate(chosen[topic]):
                _save(messages[at], Path(folder) / f"frame_{frame:06d}.png")
            _encode(Path(folder), video / f"episode_{number:06d}.mp4", fps)
    return len(grid)


def _read(bag: Path, cell: Cell) -> dict[str, tuple[NDArray[np.int64], list[Any]]]:
    """Decode every message of the bag."""
    store = get_typestore(Stores.ROS2_JAZZY)
    kind = "labvla_msgs/msg/ControllerState"
    store.register(get_types_from_msg(definition(kind), kind))
    found: dict[str, tuple[list[int], list[Any]]] = {}
    with AnyReader([bag], default_typestore=store) as reader:
        for connection, _, raw in reader.messages():
            message: Any = reader.deserialize(raw, connection.msgtype)
            time = message.stamp if connection.msgtype == kind else message.header.stamp
            stamps, messages = found.setdefault(connection.topic, ([], []))
            stamps.append(time.sec * NANOSECONDS + time.nanosec)
            messages.append(message)
    return {topic: (np.array(stamps), messages) for topic, (stamps, messages) in found.items()}


def _nearest(stamps: NDArray[np.int64], grid: NDArray[np.int64]) -> NDArray[np.int64]:
    after = np.clip(np.searchsorted(stamps, grid), 1, len(stamps) - 1)
    closer = grid - stamps[after - 1] <= stamps[after] - grid
    return np.where(closer, after - 1, after)


def _rows(streams: Any, chosen: Any, cell: Cell) -> dict[str, Any]:
    states = f"/{cell.joint_states.topic}"
    fingers = f"/{cell.arms[0].gripper.state_topic}"
    controller = f"/{cell.controller.name}/state"
    state, action = [], []
    for a, b, c in zip(chosen[states], chosen[fingers], chosen[controller], strict=True):
        state.append([*streams[states][1][a].position, streams[fingers][1][b].position[0]])
        told = streams[controller][1][c]
        action.append([*told.reference_positions, told.gripper_targets[0] / 2])
    return {"observation.state": state, "action": action}


def _save(message: Any, path: Path) -> None:
    pixels = message.data.reshape(message.height, message.width, 3)
    Image.fromarray(pixels).save(path, compress_level=1)


def _encode(folder: Path, video: Path, fps: int) -> None:
    files = sorted(folder.glob("*.png"))
    with av.open(str(video), "w") as output:
        stream: Any = output.add_stream("libx264", rate=fps, options=_OPTIONS)
        stream.width, stream.height = Image.open(files[0]).size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        for path in files:
            pixels = np.asarray(Image.open(path).convert("RGB"))
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
