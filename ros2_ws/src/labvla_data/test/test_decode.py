"""Messages decoded by the bag's own definitions equal those that ROS 2 decodes."""

import numpy as np
import pytest
from bag_support import header
from builtin_interfaces.msg import Time
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo, JointState

from labvla_data.bag.decode import DecodeError, Decoder
from labvla_data.bag.definitions import definition
from labvla_msgs.msg import (
    ActionChunk,
    CameraHealth,
    CameraStamp,
    ControllerState,
    ObservationUsed,
    PolicyStatus,
    ProtocolStatus,
    ProtocolStep,
    SafetyEvent,
)

STAMP = Time(sec=1_800_000_000, nanosec=123_456_789)
MESSAGES = [
    JointState(
        header=header(5), name=["a", "bcd"], position=[1.5, -2.0], velocity=[], effort=[0.1]
    ),
    JointState(),
    CameraInfo(header=header(7), height=48, width=64, distortion_model="plumb_bob", d=[0.1, 0.2]),
    ActionChunk(
        observation_stamp=STAMP,
        camera_stamps=[CameraStamp(camera="front", stamp=STAMP), CameraStamp(camera="x")],
        dt=1 / 30,
        rows=2,
        joint_names=["j1"],
        joint_targets=[0.5, 0.6],
        policy="a policy",
    ),
    ObservationUsed(
        sequence=7, state_stamp=STAMP, hash=np.arange(32, dtype=np.uint8), instruction="schütteln"
    ),
    ControllerState(mode=ControllerState.STOPPED, joint_names=["a"], reference_positions=[1.0]),
    PolicyStatus(state=3, cameras=[CameraHealth(camera="front", rate=29.5, lost=3)]),
    ProtocolStatus(steps=[ProtocolStep(text="heat"), ProtocolStep(quantity=5.0)], current_step=1),
    SafetyEvent(severity=2, reason="jump", value=float("nan"), count=9),
]


def plain(message):
    """A ROS message as the decoder gives it."""
    if hasattr(message, "get_fields_and_field_types"):
        return {
            name: plain(getattr(message, name)) for name in message.get_fields_and_field_types()
        }
    if isinstance(message, str | int | float | bool):
        return message
    if isinstance(message, bytes):
        return message[0]
    if isinstance(message, np.generic):
        return message.item()
    return [plain(item) for item in message]


def same(decoded, wanted):
    if isinstance(wanted, dict):
        return set(decoded) == set(wanted) and all(same(decoded[k], wanted[k]) for k in wanted)
    if isinstance(wanted, list):
        return len(decoded) == len(wanted) and all(map(same, decoded, wanted))
    return decoded == wanted or (decoded != decoded and wanted != wanted)


def kind_of(message):
    return f"{type(message).__module__.split('.')[0]}/msg/{type(message).__name__}"


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_they_are_equal(message):
    kind = kind_of(message)
    decoded = Decoder(kind, definition(kind))(serialize_message(message))
    assert same(decoded, plain(message))


@pytest.mark.parametrize("cut", [0, 3, 4, 20, 100])
def test_a_message_that_is_cut_short(cut):
    kind = kind_of(MESSAGES[3])
    decode = Decoder(kind, definition(kind))
    with pytest.raises(DecodeError, match="labvla_msgs/msg/ActionChunk"):
        decode(serialize_message(MESSAGES[3])[:cut])


def test_a_type_without_definition():
    with pytest.raises(DecodeError, match="expected its definition"):
        Decoder("a/msg/B", "c/C part\n")
