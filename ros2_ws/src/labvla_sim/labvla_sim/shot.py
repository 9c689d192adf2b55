"""Pictures of a cell: `python -m labvla_sim.shot franka --out cell.png --quality beauty`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import mujoco
import numpy as np
from PIL import Image, ImageDraw

from labvla_policy.runtime.cell import Cell, CellError, load_cell
from labvla_sim.arms import SourceUnavailable
from labvla_sim.plant.rendering import CellRenderer
from labvla_sim.plant.sim_cell import SILENT, SimCell
from labvla_sim.quality import QUALITIES
from labvla_sim.scene.description import (
    Beaker,
    Clutter,
    HotPlate,
    Place,
    SceneDescription,
    Stirrer,
)
from labvla_sim.tasks.episode import sample_episode
from labvla_sim.tasks.registry import TASKS
from labvla_sim.tasks.variation import VARIATIONS

if TYPE_CHECKING:
    from labvla_sim.plant.sim_cell import Snapshot

OVERVIEW = "overview"  # a free view of the whole cell
ALL_CAMERAS = "all"  # every camera of the cell side by side

# A tidy bench to show people; tasks draw their own.
SHOWROOM = SceneDescription(
    beakers=(
        Beaker("beaker", "100ml", Place(0.46, -0.15, 2.2), liquid=0.45),
        Beaker("beaker_2", "250ml", Place(0.60, -0.05, 2.6)),
        Beaker(
            "beaker_3", "50ml", Place(0.56, -0.24, 1.0), liquid=0.5, liquid_colour=(0.8, 0.3, 0.25)
        ),
    ),
    hot_plate=HotPlate(Place(0.50, 0.24, -0.1)),
    stirrer=Stirrer(Place(0.76, -0.36, 0.2)),
    clutter=(
        Clutter("tube_rack", Place(0.74, 0.08, 1.4), (0.30, 0.45, 0.60)),
        Clutter("wash_bottle", Place(0.70, 0.42, 2.4), (0.25, 0.50, 0.70)),
        Clutter("tape", Place(0.34, -0.33), (0.85, 0.70, 0.20)),
        Clutter("notebook", Place(0.92, -0.05, 0.25), (0.16, 0.26, 0.42)),
    ),
)


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
        joints: positions of all arms; where tasks begin if not given.
    """
    sim = SimCell(cell, noise=SILENT)
    sim.reset(scene, None if joints is None else np.asarray(joints))
    return _draw(cell, sim.snapshot(), camera, quality, size)


def _draw(
    cell: Cell, snapshot: Snapshot, camera: str, quality: str, size: tuple[int, int] | None
) -> Image.Image:
    names = None if camera in (OVERVIEW, ALL_CAMERAS) else [camera]
    renderer = CellRenderer(cell, cameras=names, sizes=size, quality=QUALITIES[quality])
    try:
        if camera == OVERVIEW:
            view = _overview()
            return Image.fromarray(renderer.render_view(snapshot, view, size or (1280, 800)))
        pictures = renderer.render(snapshot)
    finally:
        renderer.close()
    if camera == ALL_CAMERAS:
        return _side_by_side(pictures)
    return Image.fromarray(pictures[camera])


def _overview() -> mujoco.MjvCamera:
    view = mujoco.MjvCamera()
    view.lookat[:] = (0.33, 0.02, 0.26)
    view.distance, view.azimuth, view.elevation = 1.75, 146.0, -21.0
    return view


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


def main(arguments: Sequence[str] | None = None) -> int:
    """Take a picture from the command line."""
    parser = argparse.ArgumentParser(prog="labvla shot", description="Take a picture of a cell.")
    parser.add_argument("cell", help="name or file of a cell")
    parser.add_argument("--out", type=Path, required=True, help="file to write: .png or .jpg")
    parser.add_argument("--camera", default=OVERVIEW, help="a camera, 'all', or 'overview'")
    parser.add_argument("--quality", choices=sorted(QUALITIES), default="beauty")
    parser.add_argument("--size", help="WIDTHxHEIGHT", type=_size)
    parser.add_argument("--task", choices=sorted(TASKS), help="show an episode of a task")
    parser.add_argument("--variation", choices=sorted(VARIATIONS), default="id")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    try:
        cell = load_cell(given.cell)
        known = [OVERVIEW, ALL_CAMERAS, *(camera.name for camera in cell.cameras)]
        if given.camera not in known:
            parser.error(f"--camera: expected one of {', '.join(known)}, got {given.camera!r}")
        scene, joints = SHOWROOM, None
        if given.task:
            episode = sample_episode(cell, given.task, given.seed, given.variation)
            scene, joints = episode.scene, episode.joints
        picture = take(
            cell,
            camera=given.camera,
            quality=given.quality,
            size=given.size,
            scene=scene,
            joints=joints,
        )
    except (CellError, SourceUnavailable) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    given.out.parent.mkdir(parents=True, exist_ok=True)
    picture.save(given.out)
    return 0


def _size(text: str) -> tuple[int, int]:
    try:
        width, height = (int(part) for part in text.split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected WIDTHxHEIGHT such as 640x480, got {text!r}"
        ) from None
    return width, height


if __name__ == "__main__":
    sys.exit(main())
