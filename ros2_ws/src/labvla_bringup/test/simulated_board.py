"""The simulated cell, its arm and its cameras, with a ChArUco board that can be put anywhere."""

import mujoco
import numpy as np
from rendered_board import MARGIN, paper

from labvla_data.calibration.frames import frame_in_cell
from labvla_sim.arms import arm_spec
from labvla_sim.drawing import quaternion
from labvla_sim.quality import CAMERA
from labvla_sim.scene.cameras import add_cameras
from labvla_sim.scene.description import Light, Look
from labvla_sim.scene.furniture import add_lights, add_room


class CellWithBoard:
    """Draws what a camera of the cell sees in a posture of the arm."""

    def __init__(self, cell, board, board_on, place, shifts):
        self._cell, self._board_on, self._place = cell, board_on, place
        spec = mujoco.MjSpec()
        spec.compiler.degree = False
        spec.visual.global_.offwidth = max(camera.width for camera in cell.cameras)
        spec.visual.global_.offheight = max(camera.height for camera in cell.cameras)
        spec.visual.quality.offsamples = 8
        spec.visual.map.znear, spec.visual.map.zfar = 0.01, 12.0
        spec.stat.extent = 1.0
        add_room(spec, cell, Look(), CAMERA)
        add_lights(spec, Light(), CAMERA)
        for index, arm in enumerate(cell.arms):
            pose = arm.base.matrix()
            foot = spec.worldbody.add_frame(pos=pose[:3, 3], quat=quaternion(pose[:3, :3]))
            foot.attach_body(arm_spec(arm, index).spec.body("link0"), f"{arm.name}/", "")
        add_cameras(spec, cell, shifts, CAMERA)
        _add_board(spec, board)
        self._model = spec.compile()
        self._data = mujoco.MjData(self._model)
        self._renderers = {}

    def draw(self, camera, joints):
        """Return the picture of a camera; the board is where it belongs in this posture."""
        for name, position in joints.items():
            self._data.joint(f"{self._cell.arms[0].name}/{name}").qpos = position
        board = frame_in_cell(self._cell, self._board_on, joints) @ self._place
        self._data.mocap_pos[0] = board[:3, 3]
        self._data.mocap_quat[0] = quaternion(board[:3, :3])
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_camlight(self._model, self._data)
        size = camera.width, camera.height
        if size not in self._renderers:
            self._renderers[size] = mujoco.Renderer(self._model, size[1], size[0])
        self._renderers[size].update_scene(self._data, camera=camera.name)
        return self._renderers[size].render()

    def close(self):
        for renderer in self._renderers.values():
            renderer.close()


def _add_board(spec, board):
    picture = paper(board)
    texture = spec.add_texture(
        name="paper",
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        width=picture.shape[1],
        height=picture.shape[0],
        nchannel=3,
    )
    texture.data = picture.tobytes()
    material = spec.add_material(name="paper", specular=0.0, shininess=0.0)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "paper"
    x0, x1 = -MARGIN * board.square, (board.columns + MARGIN) * board.square
    y0, y1 = -MARGIN * board.square, (board.rows + MARGIN) * board.square
    outline = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
    mesh = spec.add_mesh(name="paper", inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL)
    mesh.uservert = np.concatenate(
        [np.column_stack([outline, np.full(4, z)]) for z in (0.0, 0.001)]
    ).ravel()
    mesh.usertexcoord = np.tile([0, 0, 1, 0, 1, 1, 0, 1], 2).astype(float)
    mesh.userface = np.array([0, 2, 1, 0, 3, 2, 4, 5, 6, 4, 6, 7])
    body = spec.worldbody.add_body(name="board", mocap=True)
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_MESH,
        meshname="paper",
        material="paper",
        contype=0,
        conaffinity=0,
    )
