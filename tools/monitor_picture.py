"""Draws what the monitor shows over the simulated cell: the picture in docs/monitoring.md.

    .venv/bin/labvla-env python tools/monitor_picture.py docs/pictures/monitor.png

The scripted expert picks a beaker up; after some seconds the marks that rviz and Foxglove would get
are put into MuJoCo's own scene, and names are written where they are. Nothing of ROS runs.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import mujoco
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from labvla_policy.runtime.cell import load_cell
from labvla_policy.runtime.monitor.marks import Mark, Shape
from labvla_policy.runtime.monitor.picture import Picture
from labvla_policy.runtime.monitor.standing import PolicyState
from labvla_policy.runtime.reference import Mode, Reference
from labvla_sim.closed_loop.runner import EpisodeRunner, truth_of
from labvla_sim.experts.engine import TruthEngine
from labvla_sim.plant.sim_cell import SimCell
from labvla_sim.quality import BEAUTY
from labvla_sim.scene.build import build_scene
from labvla_sim.tasks.episode import sample_episode
from labvla_sim.tasks.trial import Trial
from labvla_sim.views import aim_at_cell

SIZE = (1280, 800)
FINER = 2  # drawn larger, then made smaller: smooth edges
MOST_GEOMS = 6000
STATE_EVERY = 20  # control cycles, as the controller tells


class Onlooker:
    """Hears what the monitor node would hear: states and plans."""

    def __init__(self, cell) -> None:  # noqa: ANN001
        self.picture = Picture(cell)
        self._cycles = 0

    def cycle(self, measured, control) -> None:  # noqa: ANN001
        """Note a control cycle."""
        self._cycles += 1
        if self._cycles % STATE_EVERY == 0:
            reference, velocity = np.array(control.position), np.array(control.velocity)
            left = round(control.plan_remaining * 1e9)
            mode = Mode[control.mode.name]
            state = Reference(measured.stamp, reference, velocity, left, mode, measured.positions)
            self.picture.state(state)

    def handover(self, now, plan) -> None:  # noqa: ANN001
        """Note a plan that the controller took."""
        self.picture.plan(plan, now)


def main() -> None:
    """Run the beginning of an episode, and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--seconds", type=float, default=0.9, help="into the episode")
    parser.add_argument("--seed", type=int, default=6)
    arguments = parser.parse_args()
    cell = load_cell("franka")
    trial = Trial(SimCell(cell))
    onlooker = Onlooker(cell)
    episode = sample_episode(cell, "pick", arguments.seed)
    runner = EpisodeRunner(trial, TruthEngine(cell, lambda: truth_of(trial)))
    runner.run(episode, limit=arguments.seconds, recorder=onlooker)
    now = trial.sim.stamp
    told = PolicyState(now, "active", True, episode.instruction, "policy", "")
    onlooker.picture.policy(told, ())
    draw(cell, trial.sim.snapshot(), onlooker.picture.marks(now)).save(arguments.file)


def draw(cell, snapshot, marks: list[Mark]) -> Image.Image:  # noqa: ANN001
    """Return a picture of a moment with marks in it."""
    model = build_scene(cell, snapshot.scene.description, BEAUTY).model
    data = mujoco.MjData(model)
    data.qpos[:] = snapshot.positions
    mujoco.mj_forward(model, data)
    width, height = (FINER * edge for edge in SIZE)
    renderer = mujoco.Renderer(model, height=height, width=width, max_geom=MOST_GEOMS)
    view = mujoco.MjvCamera()
    aim_at_cell(view)
    view.distance, view.lookat[2] = 2.35, 0.38
    renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = False  # marks throw none
    renderer.update_scene(data, camera=view)
    for mark in marks:
        _add(renderer.scene, mark)
    image = Image.fromarray(renderer.render()).resize(SIZE, Image.Resampling.LANCZOS)
    camera = renderer.scene.camera[0]
    for mark in marks:
        if mark.shape is Shape.TEXT:
            _write(image, camera, mark)
    renderer.close()
    return image


def _add(scene, mark: Mark) -> None:  # noqa: ANN001
    points = mark.points @ mark.pose[:3, :3].T + mark.pose[:3, 3]
    colours = mark.colours or (mark.colour,) * len(points)
    size = np.array(mark.size)
    if mark.shape is Shape.BOX:
        # A little larger: two surfaces in one place flicker.
        _geom(scene, mujoco.mjtGeom.mjGEOM_BOX, size / 2 + 0.003, mark.pose, mark.colour)
    elif mark.shape is Shape.CYLINDER:
        half = np.array([size[0] / 2, size[2] / 2, 0.0])
        _geom(scene, mujoco.mjtGeom.mjGEOM_CYLINDER, half, mark.pose, mark.colour)
    elif mark.shape is Shape.SPHERES:
        for point, colour in zip(points, colours, strict=True):
            pose = np.eye(4)
            pose[:3, 3] = point
            _geom(scene, mujoco.mjtGeom.mjGEOM_SPHERE, size / 2, pose, colour)
    elif mark.shape in (Shape.LINE, Shape.SEGMENTS):
        step = 1 if mark.shape is Shape.LINE else 2
        for i in range(0, len(points) - 1, step):
            _connector(scene, points[i], points[i + 1], size[0], colours[i])


def _geom(scene, kind, size, pose, colour) -> None:  # noqa: ANN001
    geom = scene.geoms[scene.ngeom]
    rotation, rgba = pose[:3, :3].flatten(), np.array(colour, np.float32)
    mujoco.mjv_initGeom(geom, kind, size, pose[:3, 3], rotation, rgba)
    scene.ngeom += 1


def _connector(scene, start, end, width, colour) -> None:  # noqa: ANN001
    geom = scene.geoms[scene.ngeom]
    rgba, kind = np.array(colour, np.float32), mujoco.mjtGeom.mjGEOM_CAPSULE
    mujoco.mjv_initGeom(geom, kind, np.zeros(3), np.zeros(3), np.eye(3).flatten(), rgba)
    mujoco.mjv_connector(geom, kind, width / 2, start, end)
    scene.ngeom += 1


def _write(image: Image.Image, camera, mark: Mark) -> None:  # noqa: ANN001
    """Write a text where it stands in the scene, as large as it is there."""
    forward, up = np.array(camera.forward), np.array(camera.up)
    right = np.cross(forward, up)
    ray = mark.pose[:3, 3] - np.array(camera.pos)
    depth = float(ray @ forward)
    if depth <= 0:
        return
    pixels = image.height / (camera.frustum_top - camera.frustum_bottom) * camera.frustum_near
    x = image.width / 2 + pixels * float(ray @ right) / depth
    y = image.height / 2 - pixels * float(ray @ up) / depth
    font = ImageFont.load_default(size=max(10.0, mark.size[0] * pixels / depth))
    fill = tuple(round(255 * part) for part in mark.colour[:3])
    pen = ImageDraw.Draw(image)
    pen.multiline_text(
        (x, y), mark.text, fill, font, "mm", align="center", stroke_width=2, stroke_fill="black"
    )


if __name__ == "__main__":
    main()
