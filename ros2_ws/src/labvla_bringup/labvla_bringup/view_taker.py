"""Takes views from the stack that is up: a fresh picture, and the joints of its moment."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Any

from sensor_msgs.msg import CameraInfo, CompressedImage, Image, JointState

from labvla_bringup import registry
from labvla_bringup.graph import Graph
from labvla_data.calibration.detection import UnusableError
from labvla_data.calibration.errors import CalibrationError
from labvla_data.calibration.posture import AFTER, BEFORE, JointSample, joints_at
from labvla_data.calibration.views import View, Views
from labvla_policy.nodes import qos
from labvla_policy.nodes.cv_converter import cv_bridge_converter
from labvla_policy.nodes.stamps import to_ns
from labvla_policy.runtime.cell import Camera, Cell, CellError, load_cell
from labvla_policy.runtime.joint_sample import select_positions
from labvla_policy.runtime.observation.rings import decode_message
from labvla_policy.runtime.refusal import Refused
from labvla_policy.runtime.streams import cdr
from labvla_policy.runtime.types import NANOSECONDS

PATIENCE = 10.0  # s for a picture; what comes later than that does not come
_HISTORY = 2.0  # s of joint states that are kept


def running_camera(cell: Cell, name: str) -> Camera:
    """Return a camera as the stack that is up runs it: on the bench its pictures are smaller."""
    record = registry.current()
    if record is not None and record.cell == cell.name:
        copy = Path(record.log_dir) / f"{cell.name}.yaml"
        try:
            cell = load_cell(copy) if copy.exists() else cell
        except CellError as error:
            raise CalibrationError(f"the running stack's copy of the cell: {error}") from None
    return next(camera for camera in cell.cameras if camera.name == name)


class ViewTaker:
    """Listens to one camera and the joint states."""

    def __init__(self, graph: Graph, cell: Cell, camera_name: str) -> None:
        self._graph, self._cell = graph, cell
        self._camera = running_camera(cell, camera_name)
        self._convert = cv_bridge_converter()
        self._picture: bytes | None = None
        self._samples: deque[JointSample] = deque(maxlen=round(_HISTORY * cell.joint_states.rate))
        self._refused_joints = ""
        self.camera_info: dict[str, Any] | None = None
        kind = CompressedImage if self._camera.encoding == "jpeg" else Image
        beside = self._camera.topic.rpartition("/")[0]
        node = graph.node
        node.create_subscription(kind, self._camera.topic, self._see, qos.IMAGES, raw=True)
        node.create_subscription(CameraInfo, f"{beside}/camera_info", self._know, qos.IMAGES)
        node.create_subscription(JointState, cell.joint_states.topic, self._feel, qos.JOINT_STATES)

    def take(self, name: str) -> View:
        """Return a view of now, or raise why there is none."""
        self._graph.spin_for(BEFORE + AFTER)  # what came while nobody looked is forgotten
        picture = self._next_picture()
        if picture is None:
            raise UnusableError(
                f"no picture came on {self._graph.resolve(self._camera.topic)} within "
                f"{PATIENCE:g} s: is the camera's driver running?"
            )
        stamp = cdr.read_stamp(picture) - round(self._camera.latency * NANOSECONDS)
        self._graph.spin_for(AFTER)
        if not self._samples and self._refused_joints:
            raise UnusableError(self._refused_joints)
        joints = joints_at(stamp, self._cell.joints, list(self._samples))
        try:
            pixels = decode_message(self._sized(), self._convert, picture)
        except Refused as refused:
            raise UnusableError(refused.refusal.detail) from None
        positions = dict(zip(self._cell.joints, joints.tolist(), strict=True))
        return View(name, pixels.copy(), positions, stamp)

    def _next_picture(self) -> bytes | None:
        self._picture = None
        self._graph.spin_until(lambda: self._picture is not None, PATIENCE)
        return self._picture

    def wait_for_camera_info(self) -> bool:
        """Wait until the driver has told its intrinsics."""
        return self._graph.spin_until(lambda: self.camera_info is not None, PATIENCE)

    def _sized(self) -> Camera:
        """Return the camera with the size that its driver says: a mount holds for every size."""
        if self.camera_info is None:
            return self._camera
        info = self.camera_info
        return replace(self._camera, width=info["width"], height=info["height"])

    def _see(self, message: bytes) -> None:
        self._picture = message

    def _know(self, info: CameraInfo) -> None:
        self.camera_info = {
            "width": int(info.width),
            "height": int(info.height),
            "distortion_model": str(info.distortion_model),
            "d": [float(value) for value in info.d],
            "k": [float(value) for value in info.k],
        }

    def _feel(self, state: JointState) -> None:
        try:
            positions = select_positions(state.name, state.position, self._cell.joints)
        except Refused as refused:
            self._refused_joints = refused.refusal.detail
            return
        self._samples.append(JointSample(to_ns(state.header.stamp), positions))


def look_once(graph: Graph, cell: Cell, camera_name: str) -> Views:
    """Return one view of now."""
    taker = ViewTaker(graph, cell, camera_name)
    taker.wait_for_camera_info()
    view = taker.take("now")
    return Views(camera_name, taker.camera_info, (view,))
