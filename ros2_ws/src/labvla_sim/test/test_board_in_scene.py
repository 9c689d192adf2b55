"""A calibration board in the simulated cell is seen by the camera that it is meant for."""

import numpy as np
import pytest
from std_msgs.msg import Header

from labvla_data.calibration.board import Board
from labvla_data.calibration.camera import Plan, calibrate
from labvla_data.calibration.detection import detect
from labvla_data.calibration.frames import optical_of
from labvla_data.calibration.rigid import change_between
from labvla_data.calibration.views import View, Views
from labvla_policy.runtime.cell import Pose, load_cell
from labvla_sim.nodes.cameras import intrinsics
from labvla_sim.plant import CellRenderer, SimCell
from labvla_sim.scene import CameraShift, SceneDescription
from labvla_sim.scene.board import place_of

CELL = load_cell("franka")
SHIFT = CameraShift("wrist", (0.004, -0.003, 0.002), (0.01, 0.0, -0.01))


def seen_by(name, board, description=SceneDescription()):  # noqa: B008  frozen
    """A view of a camera in the posture `ready`."""
    sim = SimCell(CELL, description, board=board)
    camera = next(camera for camera in CELL.cameras if camera.name == name)
    renderer = CellRenderer(CELL)
    pixels = renderer.render(sim.snapshot())[name]
    renderer.close()
    joints = dict(zip(CELL.joints, sim.truth().joints.tolist(), strict=True))
    return camera, View("now", pixels, joints, 0)


@pytest.mark.parametrize(("name", "board"), [("wrist", "bench"), ("front", "gripper")])
def test_a_board_is_seen_where_it_is_said_to_be(name, board):
    shift = CameraShift(name, SHIFT.position, SHIFT.rpy)
    camera, view = seen_by(name, board, SceneDescription(camera_shifts=(shift,)))
    found = detect(Board(), view.pixels)
    assert len(found.ids) == Board().corners
    frame, place = place_of(CELL, board)
    info = intrinsics(camera, Header(), camera.width, camera.height)
    known = {
        "width": info.width, "height": info.height, "distortion_model": "plumb_bob",
        "d": list(info.d), "k": list(info.k),
    }  # fmt: skip
    plan = Plan(board=Board(), board_on=frame, board_at=place)
    outcome = calibrate(CELL, camera, Views(name, known, (view,)), plan, "2026-11-21")
    shifted = Pose(position=shift.position, rpy=shift.rpy).matrix()
    truth = optical_of(Pose.from_matrix(camera.mount.matrix() @ shifted))
    off = change_between(truth, optical_of(outcome.mount))
    assert np.linalg.norm(off[3:]) < 0.003
    assert np.rad2deg(np.linalg.norm(off[:3])) < 0.3


def test_the_board_touches_nothing():
    with_board, without = SimCell(CELL, board="bench"), SimCell(CELL)
    for _ in range(20):
        for sim in (with_board, without):
            sim.step(np.full(7, 0.5), [0.02])
    assert np.array_equal(with_board.state().positions, without.state().positions)
