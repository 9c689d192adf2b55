"""Pictures of a cell; `labvla shot` is the command for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import mujoco
import numpy as np
from PIL import Image, ImageDraw

from labvla_policy.runtime.cell import Cell
from labvla_sim.experts.base import tool_pose
from labvla_sim.experts.ik import Reach
from labvla_sim.plant.rendering import CellRenderer
from labvla_sim.plant.sim_cell import SILENT, SimCell
from labvla_sim.quality import BEAUTY, QUALITIES
from labvla_sim.scene.build import LARGEST
from labvla_sim.scene.description import (
    Beaker,
    Clutter,
    HotPlate,
    Light,
    Place,
    SceneDescription,
    Stirrer,
)
from labvla_sim.views import aim_at_cell

if TYPE_CHECKING:
    from labvla_policy.runtime.types import Array
    from labvla_sim.plant.sim_cell import Snapshot

OVERVIEW = "overview"  # a free view of the whole cell
ALL_CAMERAS = "all"  # every camera of the cell side by side

# A tidy bench to show people; tasks draw their own.
SHOWROOM = SceneDescription(
    beakers=(
        Beaker("beaker", "100ml", Place(0.50, -0.12, 2.2), liquid=0.45),
        Beaker("beaker_2", "250ml", Place(0.60, 0.03, 2.6)),
        Beaker(
            "beaker_3",
            "50ml",
            Place(0.37, -0.27, 1.0),
            liquid=0.5,
            liquid_colour=(0.85, 0.30, 0.25),
        ),
    ),
    hot_plate=HotPlate(Place(0.47, 0.27, -0.1)),
    stirrer=Stirrer(Place(0.66, -0.33, 0.2)),
    clutter=(
        Clutter("tube_rack", Place(0.75, 0.12, 1.4), (0.30, 0.45, 0.60)),
        Clutter("wash_bottle", Place(0.66, 0.44, 2.4), (0.25, 0.50, 0.70)),
        Clutter("tape", Place(0.38, 0.02), (0.85, 0.70, 0.20)),
        Clutter("notebook", Place(0.90, -0.10, 0.25), (0.16, 0.26, 0.42)),
    ),
    light=Light(brightness=1.12),
)
_SHOWN_TOOL = (0.50, -0.12, 0.15)  # m, where a first arm that reaches there holds its hand


def take(
    cell: Cell,
    *,
    camera: str = OVERVIEW,
    quality: str = "beauty",
    size: tuple[int, int] | None = None,
    scene: SceneDescription = SHOWROOM,
    joints: Sequence[float] | None = None,
) -> Image.Image:
    """Return a picture of a cell.

    Args:
        cell: what to show.
        camera: a camera of the cell, `overview`, or `all` for every camera side by side.
        quality: `camera` as the streams are drawn, `beauty` with shadows and smooth edges.
        size: width and height; the camera's own, or 1280 x 800 for the overview, if not given.
        scene: what stands on the bench.
        joints: positions of all arms; the hand above the showroom's beaker if not given.
    """
    sim = SimCell(cell, noise=SILENT)
    sim.reset(scene, _posed(sim) if joints is None else np.asarray(joints))
    return _draw(cell, sim.snapshot(), camera, quality, size)


def views_of(cell: Cell) -> tuple[str, ...]:
    """Return what may be asked for as a camera."""
    return OVERVIEW, ALL_CAMERAS, *(camera.name for camera in cell.cameras)


def _posed(sim: SimCell) -> Array:
    joints, arm = sim.state().positions, sim.cell.arms[0]
    down, closing = np.array([0.0, 0.0, -1.0]), np.array([-0.72, -0.69, 0.0])
    pose = tool_pose(np.array(_SHOWN_TOOL), down, closing)
    found = Reach(arm).solve(pose, joints[: len(arm.joints)])
    if found is not None:
        joints[: len(arm.joints)] = found
    return joints


def _draw(
    cell: Cell, snapshot: Snapshot, camera: str, quality: str, size: tuple[int, int] | None
) -> Image.Image:
    names = None if camera in (OVERVIEW, ALL_CAMERAS) else [camera]
    renderer = CellRenderer(cell, cameras=names, sizes=size, quality=QUALITIES[quality])
    try:
        if camera == OVERVIEW:
            return _draw_overview(renderer, snapshot, size or (1280, 800), quality)
        pictures = renderer.render(snapshot)
    finally:
        renderer.close()
    if camera == ALL_CAMERAS:
        return _side_by_side(pictures)
    return Image.fromarray(pictures[camera])


def _draw_overview(
    renderer: CellRenderer, snapshot: Snapshot, size: tuple[int, int], quality: str
) -> Image.Image:
    """Draw twice as large where that fits: multisampling does not smooth edges of shadows."""
    fits = 2 * size[0] <= LARGEST[0] and 2 * size[1] <= LARGEST[1]
    factor = 2 if fits and quality == BEAUTY.name else 1
    large = (factor * size[0], factor * size[1])
    view = mujoco.MjvCamera()
    aim_at_cell(view)
    picture = Image.fromarray(renderer.render_view(snapshot, view, large))
    return picture.resize(size, Image.Resampling.LANCZOS) if factor > 1 else picture


def _side_by_side(
    pictures: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.uint8]]],
) -> Image.Image:
    gap, images = 8, [Image.fromarray(picture) for picture in pictures.values()]
    width = sum(image.width for image in images) + gap * (len(images) - 1)
    sheet = Image.new("RGB", (width, max(image.height for image in images)), "white")
    left = 0
    for name, image in zip(pictures, images, strict=True):
        ImageDraw.Draw(image).text((10, 8), name, fill="white", stroke_width=1, stroke_fill="black")
        sheet.paste(image, (left, 0))
        left += image.width + gap
    return sheet
