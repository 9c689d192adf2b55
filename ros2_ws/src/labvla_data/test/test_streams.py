"""What is recorded of a cell."""

import pytest
import yaml
from recorded_cell import write_cell

from labvla_data.recording.streams import streams_of
from labvla_policy.runtime.cell import load_cell


def by_topic(cell, images="cell"):
    streams = streams_of(cell, images)
    assert len({stream.topic for stream in streams}) == len(streams)
    return {stream.topic: stream for stream in streams}


@pytest.mark.parametrize("name", ["franka", "ur5e", "dual_arm", "dual_franka"])
def test_everything_that_an_observation_is_made_of(name):
    cell = load_cell(name)
    streams = by_topic(cell)
    for camera in cell.cameras:
        stream = streams[camera.topic]
        assert (stream.rate, stream.required, stream.large) == (camera.rate, True, True)
    states = streams[cell.joint_states.topic]
    assert (states.rate, states.required) == (cell.joint_states.rate, True)
    assert {arm.gripper.state_topic for arm in cell.arms} <= streams.keys()
    controller = cell.controller.name
    assert {f"{controller}/state", f"{controller}/gripper", "labvla/action_chunk"} <= streams.keys()


def test_camera_info_beside_every_camera():
    streams = by_topic(load_cell("franka"))
    assert streams["camera/front/color/camera_info"].kind == "sensor_msgs/msg/CameraInfo"


def test_compressed_pictures_if_asked_for():
    streams = by_topic(load_cell("franka"), "jpeg")
    assert "camera/front/color/image_raw" not in streams
    stream = streams["camera/front/color/image_raw/compressed"]
    assert stream.kind == "sensor_msgs/msg/CompressedImage"
    assert stream.required
    assert "camera/front/color/camera_info" in streams


@pytest.mark.parametrize("images", ["cell", "jpeg"])
def test_a_camera_that_sends_jpeg_is_recorded_as_it_is(tmp_path, images):
    path = write_cell(tmp_path)
    cell = yaml.safe_load(path.read_text())
    cell["cameras"][0] |= {"encoding": "jpeg", "topic": "camera/front/color/image_raw/compressed"}
    path.write_text(yaml.safe_dump(cell))
    streams = by_topic(load_cell(path), images)
    stream = streams["camera/front/color/image_raw/compressed"]
    assert stream.kind == "sensor_msgs/msg/CompressedImage"
    assert "camera/front/color/camera_info" in streams


def test_a_gripper_in_the_joint_states_is_recorded_once(tmp_path):
    path = write_cell(tmp_path)
    cell = yaml.safe_load(path.read_text())
    cell["arms"][0]["gripper"]["state_topic"] = cell["joint_states"]["topic"]
    path.write_text(yaml.safe_dump(cell))
    states = by_topic(load_cell(path))[cell["joint_states"]["topic"]]
    assert states.required
