"""The simulated Franka's own cameras are calibrated: arm, mounts and camera_info fit together."""

import numpy as np
import pytest
from rendered_board import place_in_view
from simulated_board import CellWithBoard
from std_msgs.msg import Header

from labvla_data.calibration.board import Board
from labvla_data.calibration.camera import Plan, calibrate
from labvla_data.calibration.frames import board_frame, optical_of
from labvla_data.calibration.rigid import change_between
from labvla_data.calibration.views import View, Views
from labvla_policy.runtime.cell import Pose, load_cell
from labvla_sim.nodes.cameras import intrinsics
from labvla_sim.scene import CameraShift

CELL = load_cell("franka")
BOARD = Board()
SHIFT = (0.006, -0.009, 0.007), (0.02, -0.015, 0.03)


def told_by_the_driver(camera):
    info = intrinsics(camera, Header(), camera.width, camera.height)
    return {
        "width": info.width,
        "height": info.height,
        "distortion_model": info.distortion_model,
        "d": list(info.d),
        "k": list(info.k),
    }


def views_of(camera, place, count=20):
    """Views from postures around `ready`; where the board is hidden is found out by looking."""
    scene = CellWithBoard(
        CELL, BOARD, board_frame(CELL, camera), place, (CameraShift(camera.name, *SHIFT),)
    )
    random = np.random.default_rng(5)
    arm = CELL.arms[0]
    views = []
    for number in range(count):
        q = np.array(arm.posture("ready").joints) + random.uniform(-0.25, 0.25, len(arm.joints))
        joints = dict(zip(arm.joints, q.tolist(), strict=True))
        views.append(View(f"view_{number:03}", scene.draw(camera, joints), joints, number))
    scene.close()
    return Views(camera.name, told_by_the_driver(camera), tuple(views))


@pytest.mark.parametrize(("name", "distance"), [("wrist", 0.4), ("front", 0.85)])
def test_a_shifted_camera_is_found_where_it_is(name, distance):
    camera = next(camera for camera in CELL.cameras if camera.name == name)
    board_on = board_frame(CELL, camera)
    views = views_of(camera, place_in_view(CELL, camera, board_on, distance))
    outcome = calibrate(CELL, camera, views, Plan(board=BOARD, board_on=board_on), "2026-11-21")
    truth = optical_of(
        Pose.from_matrix(camera.mount.matrix() @ Pose(position=SHIFT[0], rpy=SHIFT[1]).matrix())
    )
    off = change_between(truth, optical_of(outcome.mount))
    assert np.linalg.norm(off[3:]) < 0.0005
    assert np.rad2deg(np.linalg.norm(off[:3])) < 0.05
    assert outcome.solution.residual < 0.5
