"""Pictures of a board through a MuJoCo camera whose pose and lens are known."""

import os

os.environ.setdefault("MUJOCO_GL", "egl")
os.environ.setdefault("LP_NUM_THREADS", "0")

import cv2
import mujoco
import numpy as np

from labvla_data.calibration.board import Board
from labvla_data.calibration.frames import carrier, optical_of
from labvla_data.calibration.lens import Lens
from labvla_data.calibration.rigid import inverse, pose_of
from labvla_data.calibration.views import View, Views

WIDTH, HEIGHT, FOV = 640, 480, np.deg2rad(55.0)
PIXELS_PER_SQUARE = 120
MARGIN = 0.5  # of a square: the white rim of the paper
# MuJoCo's camera looks along -z with y up, an optical frame along z with y down.
_OPTICAL = np.diag([1.0, -1.0, -1.0, 1.0])

_SCENE = """
<mujoco>
  <visual>
    <global offwidth="{width}" offheight="{height}"/>
    <quality offsamples="8"/>
    <map znear="0.002"/>
    <headlight ambient="{light} {light} {light}" diffuse="0 0 0" specular="0 0 0"/>
  </visual>
  <asset>
    <texture name="paper" type="2d" file="paper.png"/>
    <material name="paper" texture="paper" specular="0" shininess="0"/>
    <mesh name="paper" inertia="shell"
      vertex="{x0} {y0} 0  {x1} {y0} 0  {x1} {y1} 0  {x0} {y1} 0
              {x0} {y0} .001  {x1} {y0} .001  {x1} {y1} .001  {x0} {y1} .001"
      texcoord="0 0  1 0  1 1  0 1  0 0  1 0  1 1  0 1"
      face="0 2 1  0 3 2  4 5 6  4 6 7"/>
    <texture name="sky" type="skybox" builtin="flat" rgb1=".35 .4 .45" width="16" height="16"/>
  </asset>
  <worldbody>
    <body name="board" mocap="true">
      <geom type="mesh" mesh="paper" material="paper" contype="0" conaffinity="0"/>
    </body>
    <body name="eye" mocap="true"><camera name="eye" fovy="{fovy}"/></body>
  </worldbody>
</mujoco>
"""


def paper(board):
    """Return the printed board with its white rim."""
    picture = board.picture(PIXELS_PER_SQUARE)
    rim = round(MARGIN * PIXELS_PER_SQUARE)
    framed = cv2.copyMakeBorder(picture, rim, rim, rim, rim, cv2.BORDER_CONSTANT, value=255)
    return cv2.cvtColor(framed, cv2.COLOR_GRAY2BGR)


class RenderedBoard:
    """Draws one board from anywhere."""

    def __init__(self, board=None, light=0.9, printed_scale=1.0):
        board = board or Board()
        done, data = cv2.imencode(".png", paper(board))
        assert done
        square = board.square * printed_scale
        scene = _SCENE.format(
            width=WIDTH, height=HEIGHT, light=light, fovy=np.rad2deg(FOV),
            x0=-MARGIN * square, x1=(board.columns + MARGIN) * square,
            y0=-MARGIN * square, y1=(board.rows + MARGIN) * square,
        )  # fmt: skip
        self._model = mujoco.MjModel.from_xml_string(scene, {"paper.png": data.tobytes()})
        self._data = mujoco.MjData(self._model)
        self._renderer = mujoco.Renderer(self._model, HEIGHT, WIDTH)

    def draw(self, board_in_camera):
        """Return the picture of a board at a pose in the camera's optical frame."""
        self._place("eye", _OPTICAL)
        self._place("board", board_in_camera)
        mujoco.mj_forward(self._model, self._data)
        self._renderer.update_scene(self._data, camera="eye")
        return self._renderer.render()

    def _place(self, body, pose):
        mocap = self._model.body(body).mocapid[0]
        self._data.mocap_pos[mocap] = pose[:3, 3]
        mujoco.mju_mat2Quat(self._data.mocap_quat[mocap], np.ravel(pose[:3, :3]))

    def close(self):
        self._renderer.close()


def camera_info():
    """What a driver would tell of this camera; whole numbers are the middles of pixels."""
    focal = HEIGHT / 2 / np.tan(FOV / 2)
    x, y = (WIDTH - 1) / 2, (HEIGHT - 1) / 2
    return {
        "width": WIDTH, "height": HEIGHT, "distortion_model": "plumb_bob", "d": [0.0] * 5,
        "k": [focal, 0.0, x, 0.0, focal, y, 0.0, 0.0, 1.0],
    }  # fmt: skip


def robot_views(renderer, board, cell, camera, truth, board_on, place, count, seed=0, spread=0.35):
    """Return views of a robot in random postures around `ready`, all with the whole board seen.

    `truth` is the camera's real optical frame in its mount's frame, `place` the board's in its own.
    """
    random = np.random.default_rng(seed)
    arm = cell.arms[0]
    ready = np.array(arm.posture("ready").joints)
    lens = Lens.from_camera_info(camera_info(), "test")
    views = []
    while len(views) < count:
        q = ready + random.uniform(-spread, spread, len(ready))
        joints = dict(zip(arm.joints, q.tolist(), strict=True))
        board_in_camera = inverse(truth) @ carrier(cell, camera, board_on, joints) @ place
        if not whole_board_is_seen(board, lens, board_in_camera):
            continue
        name = f"view_{len(views):03}"
        views.append(View(name, renderer.draw(board_in_camera), joints, len(views) * 10**9))
    return Views(camera.name, camera_info(), tuple(views))


def whole_board_is_seen(board, lens, board_in_camera):
    points = board.points @ board_in_camera[:3, :3].T + board_in_camera[:3, 3]
    if points[:, 2].min() < 0.1 or board_in_camera[2, 2] < 0.6:
        return False
    pixels = lens.project(points)
    return bool((pixels > 15).all() and (pixels < np.array([WIDTH, HEIGHT]) - 15).all())


def place_in_view(cell, camera, board_on, distance, roll=0.0):
    """Return a place for the board straight before the camera in the posture `ready`."""
    arm = cell.arms[0]
    ready = dict(zip(arm.joints, arm.posture("ready").joints, strict=True))
    board = Board()
    before = pose_of(np.array([0.1, roll, 0.0]), np.zeros(3))
    before[:3, 3] = np.array([0.0, 0.0, distance]) - before[:3, :3] @ board.middle
    there = optical_of(camera.mount) @ before
    return inverse(carrier(cell, camera, board_on, ready)) @ there
