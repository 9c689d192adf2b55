"""Which topics of a cell are recorded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from labvla_policy.runtime.cell import Camera, Cell

Images = Literal["cell", "jpeg"]
IMAGES: tuple[Images, ...] = get_args(Images)

STATUS = "labvla/status"
PROTOCOL = "labvla/protocol"
CHUNKS = "labvla/action_chunk"
USED = "labvla/observation_used"
SCENE = "sim/scene"

_JOINT_STATE = "sensor_msgs/msg/JointState"


@dataclass(frozen=True)
class Stream:
    """A topic to record."""

    topic: str
    kind: str
    rate: float | None = None  # Hz; None: it comes when there is something to tell
    required: bool = False  # an episode without it is worth nothing
    large: bool = False  # pictures: the first to go when memory runs out


def streams_of(cell: Cell, images: Images = "cell") -> tuple[Stream, ...]:
    """Return everything that an episode of this cell holds, relative to the stack's namespace."""
    controller = cell.controller.name
    streams = [
        *(stream for camera in cell.cameras for stream in _camera(camera, images)),
        Stream(cell.joint_states.topic, _JOINT_STATE, cell.joint_states.rate, required=True),
        *(Stream(arm.gripper.state_topic, _JOINT_STATE) for arm in cell.arms),
        *(
            Stream(arm.wrench.topic, "geometry_msgs/msg/WrenchStamped")
            for arm in cell.arms
            if arm.wrench is not None
        ),
        Stream(CHUNKS, "labvla_msgs/msg/ActionChunk"),
        Stream(USED, "labvla_msgs/msg/ObservationUsed"),
        Stream(f"{controller}/state", "labvla_msgs/msg/ControllerState"),
        Stream(f"{controller}/gripper", "labvla_msgs/msg/GripperSetpoints"),
        Stream("labvla/events", "labvla_msgs/msg/SafetyEvent"),
        Stream(STATUS, "labvla_msgs/msg/PolicyStatus"),
        Stream(PROTOCOL, "labvla_msgs/msg/ProtocolStatus"),
        # Only a simulated cell has one: what stands where, for `labvla replay`.
        Stream(SCENE, "labvla_msgs/msg/SimScene"),
    ]
    return tuple({stream.topic: stream for stream in reversed(streams)}.values())[::-1]


def _camera(camera: Camera, images: Images) -> tuple[Stream, Stream]:
    raw = camera.encoding != "jpeg"
    compressed = not raw or images == "jpeg"
    picture = Stream(
        f"{camera.topic}/compressed" if raw and compressed else camera.topic,
        "sensor_msgs/msg/CompressedImage" if compressed else "sensor_msgs/msg/Image",
        camera.rate,
        required=True,
        large=True,
    )
    beside = camera.topic.removesuffix("/compressed").rpartition("/")[0]
    info = f"{beside}/camera_info" if beside else "camera_info"
    return picture, Stream(info, "sensor_msgs/msg/CameraInfo")
