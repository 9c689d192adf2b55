"""Make the MuJoCo model of a cell and a scene description."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import mujoco
import numpy as np

from labvla_sim.arms import ArmSource, arm_spec
from labvla_sim.drawing import quaternion
from labvla_sim.quality import CAMERA, Quality
from labvla_sim.scene.board import BoardOn, add_board
from labvla_sim.scene.cameras import add_cameras
from labvla_sim.scene.furniture import add_lights, add_room
from labvla_sim.scene.glass import add_beaker
from labvla_sim.scene.hot_plate import add_hot_plate
from labvla_sim.scene.things import add_clutter, add_stirrer

if TYPE_CHECKING:
    from labvla_policy.runtime.cell import Cell
    from labvla_sim.scene.description import SceneDescription

TIMESTEP = 0.001  # s
LARGEST = (2560, 1600)  # pixels of a picture


@dataclass(frozen=True)
class Scene:
    """A compiled model and what it was made from."""

    model: Any  # mujoco.MjModel
    description: SceneDescription
    quality: Quality
    arms: tuple[dict[str, str], ...]  # where each arm's model came from


def build_scene(
    cell: Cell,
    description: SceneDescription,
    quality: Quality = CAMERA,
    source: ArmSource = "generated",
    board: BoardOn | None = None,
) -> Scene:
    """Compile the model. Physics does not depend on `quality`, nor on the calibration board."""
    spec = mujoco.MjSpec()
    spec.modelname = cell.name
    spec.compiler.degree = False
    _options(spec)
    _drawing(spec, cell, quality)
    add_room(spec, cell, description.look, quality)
    add_lights(spec, description.light, quality)
    records = []
    for index, arm in enumerate(cell.arms):
        built = arm_spec(arm, index, source, quality)
        pose = arm.base.matrix()
        foot = spec.worldbody.add_frame(pos=pose[:3, 3], quat=quaternion(pose[:3, :3]))
        foot.attach_body(built.spec.body("link0"), f"{arm.name}/", "")
        records.append(built.record)
    if description.hot_plate is not None:
        add_hot_plate(spec, description.hot_plate, quality)
    if description.stirrer is not None:
        add_stirrer(spec, description.stirrer, quality)
    for beaker in description.beakers:
        add_beaker(spec, beaker, quality)
    for number, thing in enumerate(description.clutter):
        add_clutter(spec, number, thing, quality)
    if board is not None:
        add_board(spec, cell, board)
    add_cameras(spec, cell, description.camera_shifts, quality)
    return Scene(spec.compile(), description, quality, tuple(records))


def _options(spec: Any) -> None:
    option = spec.option
    option.timestep = TIMESTEP
    option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    option.cone = mujoco.mjtCone.mjCONE_PYRAMIDAL
    option.solver = mujoco.mjtSolver.mjSOL_CG
    option.iterations = 30
    option.tolerance = 1e-6
    option.noslip_iterations = 3  # without it a held vessel creeps down by 0.25 mm/s
    # Things at rest cost nothing until they are touched: 1.6 times as fast.
    option.enableflags |= mujoco.mjtEnableBit.mjENBL_SLEEP


def _drawing(spec: Any, cell: Cell, quality: Quality) -> None:
    visual = spec.visual
    slices, stacks, quads = quality.tessellation
    visual.quality.numslices, visual.quality.numstacks = slices, stacks
    visual.quality.numquads = quads
    visual.quality.offsamples = quality.samples
    visual.quality.shadowsize = max(quality.shadow_size, 1)
    visual.global_.offwidth = max(LARGEST[0], *(camera.width for camera in cell.cameras))
    visual.global_.offheight = max(LARGEST[1], *(camera.height for camera in cell.cameras))
    visual.map.znear, visual.map.zfar = 0.01, 12.0
    visual.map.shadowclip, visual.map.shadowscale = 4.0, 0.9
    spec.stat.extent, spec.stat.center = 1.0, np.array([0.4, 0.0, 0.2])
    if not quality.textures:
        return
    spec.add_texture(
        name="sky",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=[0.93, 0.94, 0.95],
        rgb2=[0.72, 0.76, 0.80],
        width=256,
        height=256,
    )
