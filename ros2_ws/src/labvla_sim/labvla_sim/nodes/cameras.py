"""Draws and publishes the cell's cameras from a thread of its own."""

from __future__ import annotations

import array
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import cv2
import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from labvla_policy.nodes import qos
from labvla_policy.nodes.stamps import to_stamp
from labvla_sim.plant import CellRenderer
from labvla_sim.plant.faults import CameraFaults, Frame
from labvla_sim.plant.stamps import StampClock

if TYPE_CHECKING:
    from labvla_policy.runtime.cell import Camera, Cell
    from labvla_sim.plant.sim_cell import Snapshot

_JPEG_QUALITY = 90
_POLL = 0.002  # s


class CameraPublisher:
    """Raw pictures, JPEG and camera_info of one camera; what nobody listens to is not made."""

    def __init__(self, node: Node, cell: Cell, camera: Camera) -> None:
        self._camera = camera
        self._frames = {c.name: c.frame_id or f"{c.name}_optical_frame" for c in cell.cameras}
        self._frames[""] = self._frames[camera.name]
        raw, beside = camera.topic, camera.topic.rpartition("/")[0]
        self._raw = node.create_publisher(Image, raw, qos.IMAGES)
        self._jpeg = node.create_publisher(CompressedImage, f"{raw}/compressed", qos.IMAGES)
        self._info = node.create_publisher(CameraInfo, f"{beside}/camera_info", qos.IMAGES)

    def publish(self, stamp: int, frame: Frame) -> None:
        """Publish one frame."""
        picture = frame.image
        height, width = picture.shape[:2]
        header = Header(stamp=to_stamp(stamp), frame_id=self._frames[frame.source])
        if self._raw.get_subscription_count():
            message = Image(
                header=header, height=height, width=width, encoding=frame.encoding, step=3 * width
            )
            message.data = array.array("B", picture.tobytes()[: picture.nbytes - frame.missing])
            self._raw.publish(message)
        if self._jpeg.get_subscription_count():
            quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
            blue_first = picture if frame.encoding == "bgr8" else picture[..., ::-1]
            data = cv2.imencode(".jpg", blue_first, quality)[1].tobytes()
            data = data[: len(data) // 2] if frame.missing else data
            self._jpeg.publish(
                CompressedImage(header=header, format="jpeg", data=array.array("B", data))
            )
        if self._info.get_subscription_count():
            self._info.publish(intrinsics(self._camera, header, width, height))


def intrinsics(camera: Camera, header: Header, width: int, height: int) -> CameraInfo:
    """Return what a driver would tell of the simulated lens."""
    focal = height / 2 / np.tan(camera.vertical_fov / 2)
    # Whole numbers are the middles of pixels, so the picture's middle lies between two of them.
    x, y = (width - 1) / 2, (height - 1) / 2
    return CameraInfo(
        header=header,
        width=width,
        height=height,
        distortion_model="plumb_bob",
        d=[0.0] * 5,
        k=[focal, 0.0, x, 0.0, focal, y, 0.0, 0.0, 1.0],
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[focal, 0.0, x, 0.0, 0.0, focal, y, 0.0, 0.0, 0.0, 1.0, 0.0],
    )


class CameraThread(threading.Thread):
    """Takes a picture of every camera at the cell's rate, in simulated time."""

    def __init__(
        self, node: Node, cell: Cell, snapshot: Callable[[], Snapshot], clock: StampClock
    ) -> None:
        super().__init__(name="cameras", daemon=True)
        self.faults = CameraFaults()
        self._cell = cell
        self._snapshot = snapshot
        self._clock = clock
        self._period = round(1e9 / max(camera.rate for camera in cell.cameras))
        self._publishers = {c.name: CameraPublisher(node, cell, c) for c in cell.cameras}
        self._ending = threading.Event()
        self._published = threading.Condition()
        self._origin = 0  # ns, of the plant: pictures are due every period from here on
        self.due = 0
        self.seen: tuple[str, ...] = ()  # cameras that have published the newest pictures
        self.frames = 0

    def run(self) -> None:
        """Publish until told to stop. The renderer belongs to this thread."""
        renderer = CellRenderer(self._cell)
        while not self._ending.is_set():
            snapshot = self._snapshot()
            if snapshot.stamp < self.due:
                time.sleep(_POLL)
                continue
            pictures = renderer.render(snapshot)
            frames = {name: Frame(snapshot.stamp, image) for name, image in pictures.items()}
            spoiled = self.faults.apply(frames)
            for name, frame in spoiled.items():
                self._publishers[name].publish(self._clock.stamp(frame.stamp), frame)
            self.frames += 1
            with self._published:
                periods = (snapshot.stamp - self._origin) // self._period + 1
                self.due = max(self.due, self._origin + periods * self._period)
                self.seen = tuple(n for n, f in spoiled.items() if f.stamp == snapshot.stamp)
                self._published.notify_all()
        renderer.close()

    def restart(self, stamp: int) -> None:
        """Have the next pictures taken at a time of the plant (ns), and every period after it."""
        with self._published:
            self._origin = self.due = stamp
            self._published.notify_all()

    def wait(self, stamp: int, timeout: float) -> bool:
        """Wait until no picture of a time of the plant is due any more; False if one still is."""
        with self._published:
            return self._published.wait_for(lambda: self.due > stamp, timeout)

    def end(self) -> None:
        """Stop, and wait until the graphics context is free."""
        self._ending.set()
        self.join(timeout=5.0)
