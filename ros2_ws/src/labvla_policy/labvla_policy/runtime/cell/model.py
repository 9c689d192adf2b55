"""The description of a cell: all that the stack knows about robot, cameras and bench.

Objects come from `load_cell`, which has checked them; nothing in here validates again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Literal

from labvla_policy.runtime.cell.arm import Arm, Posture
from labvla_policy.runtime.cell.contract import PolicyContract
from labvla_policy.runtime.cell.geometry import Box, KeepOut, Pose
from labvla_policy.runtime.cell.hashing import fingerprint
from labvla_policy.runtime.cell.schema import (
    DATE,
    DICTIONARY,
    FRAME_NAME,
    FREE_TEXT,
    IDENTIFIER,
    ROS_NAME,
    key,
)
from labvla_policy.runtime.cell.units import ANGLE, FREQUENCY, LENGTH, PIXELS, RATIO, TIME

MOST_CAMERA_SLOTS = 3

Encoding = Literal[
    "rgb8",
    "bgr8",
    "rgba8",
    "bgra8",
    "mono8",
    "jpeg",
    "yuv422",
    "yuv422_yuy2",
    "nv21",
    "nv24",
    "bayer_rggb8",
    "bayer_bggr8",
    "bayer_gbrg8",
    "bayer_grbg8",
    "mono16",
    "16UC1",
]


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a description was read, so that later refusals can still point at a line."""

    file: str
    lines: Mapping[str, int]

    def line(self, path: str) -> int | None:
        """Return the line of a key such as `arms[0].joints`, or of what encloses it."""
        while path and path not in self.lines:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.lines.get(path)


@dataclass(frozen=True, kw_only=True)
class JointStates:
    """The stream of measured joint positions."""

    topic: Annotated[
        str, key("the fastest joint-state topic that has all arm joints", form=ROS_NAME)
    ]
    rate: Annotated[
        float,
        key(
            "its rate; a merged 30 Hz topic is too slow for a policy",
            dimension=FREQUENCY,
            at_least=100,
            at_most=4000,
        ),
    ]


@dataclass(frozen=True, kw_only=True)
class Controller:
    """The one controller that moves every arm of the cell."""

    name: Annotated[str, key("its name in the controller manager", form=IDENTIFIER)]
    rate: Annotated[
        float,
        key("update rate of the control loop", dimension=FREQUENCY, at_least=100, at_most=4000),
    ]


@dataclass(frozen=True, kw_only=True)
class Mount(Pose):
    """Where a camera looks from: x forward, y left, z up (camera_link, not the optical frame)."""

    frame: Annotated[
        str, key("the cell's frame, or an arm's base_frame or flange_frame", form=FRAME_NAME)
    ]


@dataclass(frozen=True, kw_only=True)
class CalibrationBoard:
    """The ChArUco board that a camera was calibrated with."""

    columns: Annotated[int, key("squares along the top edge", at_least=3, at_most=30)]
    rows: Annotated[int, key("squares down the left edge", at_least=3, at_most=30)]
    square: Annotated[float, key("edge of a square", dimension=LENGTH, above=0)]
    marker: Annotated[float, key("edge of a marker", dimension=LENGTH, above=0)]
    dictionary: Annotated[str, key("OpenCV's name of the markers, as 5X5_100", form=DICTIONARY)]


@dataclass(frozen=True, kw_only=True)
class BoardPlace(Pose):
    """Where the board was: origin at its top left corner, x right, y down, z into the paper."""

    frame: Annotated[
        str, key("the cell's frame, or an arm's base_frame or flange_frame", form=FRAME_NAME)
    ]


@dataclass(frozen=True, kw_only=True)
class CalibrationLens:
    """The intrinsics that a mount was computed with."""

    width: Annotated[int, key("pixels per row", at_least=16, at_most=8192)]
    height: Annotated[int, key("rows of pixels", at_least=16, at_most=8192)]
    focal: Annotated[tuple[float, float], key("focal lengths, x and y", dimension=PIXELS, above=0)]
    centre: Annotated[
        tuple[float, float],
        key("where the optical axis meets the picture, x and y", dimension=PIXELS),
    ]
    distortion: Annotated[
        tuple[float, ...],
        key("coefficients in OpenCV's order, 5 or 8", dimension=RATIO, fewest=5, most=8),
    ]


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How a mount was measured; written by `labvla calibrate camera`."""

    date: Annotated[str, key("when, as '2026-11-21' in quotes", form=DATE)]
    views: Annotated[int, key("how many views were used", at_least=1)]
    residual: Annotated[
        float,
        key("root mean square between seen and predicted corners", dimension=PIXELS, at_least=0),
    ]
    position_error: Annotated[
        float | None, key("standard error of the position", dimension=LENGTH, at_least=0)
    ] = None
    rotation_error: Annotated[
        float | None, key("standard error of the rotation", dimension=ANGLE, at_least=0)
    ] = None
    board: Annotated[CalibrationBoard, key("what was looked at")]
    board_place: Annotated[
        BoardPlace,
        key("where it was: put it back there, and the doctor sees whether the camera moved"),
    ]
    lens: Annotated[CalibrationLens, key("intrinsics of the camera at that time")]


@dataclass(frozen=True, kw_only=True)
class Camera:
    """A colour camera."""

    name: Annotated[str, key("how messages and recordings call the camera", form=IDENTIFIER)]
    slot: Annotated[
        int | None,
        key(
            "place among the policy's images, 0 to 2; none for a camera that is only recorded",
            at_least=0,
            at_most=MOST_CAMERA_SLOTS - 1,
        ),
    ] = None
    topic: Annotated[str, key("its image topic", form=ROS_NAME)]
    frame_id: Annotated[
        str | None,
        key(
            "what its driver writes into header.frame_id; a picture with another one is refused, "
            "since two topics are mixed up. none: not looked at",
            form=FRAME_NAME,
        ),
    ] = None
    encoding: Annotated[
        Encoding,
        key(
            "pixel format of sensor_msgs/Image, or jpeg for a sensor_msgs/CompressedImage topic; "
            "those behind jpeg need cv_bridge"
        ),
    ]
    width: Annotated[int, key("pixels per row", at_least=16, at_most=8192)]
    height: Annotated[int, key("rows of pixels", at_least=16, at_most=8192)]
    rate: Annotated[float, key("frames per second", dimension=FREQUENCY, at_least=1, at_most=240)]
    latency: Annotated[
        float,
        key(
            "from exposure to the stamp of the message; 0 where the driver stamps the exposure",
            dimension=TIME,
            at_least=0,
            at_most=0.5,
        ),
    ]
    vertical_fov: Annotated[
        float,
        key(
            "vertical field of view, for the simulated camera",
            dimension=ANGLE,
            at_least=0.1,
            at_most=2.6,
        ),
    ]
    mount: Annotated[Mount, key("pose of the camera's body")]
    calibration: Annotated[
        Calibration | None,
        # What the mount is counts, not how it became known.
        key("how the mount was measured; none: by hand or by drawing", hashed=False),
    ] = None


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """Where the arms may be."""

    tool: Annotated[Box, key("every arm's tool centre point stays inside this box")]
    keep_out: Annotated[
        tuple[KeepOut, ...], key("boxes that no moving link and no tool may enter")
    ] = ()


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell: a bench with its arms and cameras."""

    name: Annotated[str, key("the same as the file's name without .yaml", form=IDENTIFIER)]
    description: Annotated[str, key("one sentence for people", form=FREE_TEXT, hashed=False)]
    frame: Annotated[
        str, key("name of the cell's own frame: z up, x away from the arms", form=FRAME_NAME)
    ]
    arms: Annotated[
        tuple[Arm, ...], key("one arm, or two in the order left, right", fewest=1, most=2)
    ]
    joint_states: Annotated[JointStates, key("where measured joint positions come from")]
    controller: Annotated[Controller, key("what executes action chunks")]
    cameras: Annotated[
        tuple[Camera, ...], key("at least one, with slots 0, 1, 2 in order", fewest=1)
    ]
    workspace: Annotated[Workspace, key("where the arms may be")]
    policy: Annotated[PolicyContract, key("what every policy for this cell has to provide")]
    origin: Origin = field(
        default_factory=lambda: Origin(file="", lines={}), compare=False, repr=False, kw_only=True
    )

    @property
    def joints(self) -> tuple[str, ...]:
        """All arm joints, in the order of the arms."""
        return tuple(joint for arm in self.arms for joint in arm.joints)

    @property
    def policy_cameras(self) -> tuple[Camera, ...]:
        """The cameras that the policy sees, in the order of its slots."""
        seen = [camera for camera in self.cameras if camera.slot is not None]
        return tuple(sorted(seen, key=lambda camera: camera.slot or 0))

    @property
    def column_names(self) -> tuple[str | None, ...]:
        """Joint or gripper of every policy column; None where a column stays zero."""
        names: list[str | None] = [None] * self.policy.columns.width
        for arm, columns in zip(self.arms, self.policy.columns.arms, strict=True):
            for column, joint in zip(columns.joints, arm.joints, strict=False):
                names[column] = joint
            names[columns.gripper] = arm.gripper_name
        return tuple(names)

    def posture(self, name: str) -> dict[str, Posture]:
        """Return every arm's posture of that name."""
        return {arm.name: arm.posture(name) for arm in self.arms}

    @cached_property
    def hash(self) -> str:
        """Fingerprint of everything that can change behaviour, recorded with every episode."""
        return fingerprint(self)

    @cached_property
    def contract_hash(self) -> str:
        """Fingerprint of what action chunks depend on; a chunk with another one is refused."""
        return fingerprint(
            {
                "policy": self.policy,
                "columns": self.column_names,
                "gripper_units": [arm.gripper.policy_unit for arm in self.arms],
                "cameras": [camera.name for camera in self.policy_cameras],
            }
        )
