"""What stands around the arms: the gate's boxes, and what the cameras look at."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from labvla_policy.runtime.cell import Box, Camera, Cell
from labvla_policy.runtime.monitor.marks import Colour, Mark, Shape
from labvla_policy.runtime.types import Array

TOOL_BOX: Colour = (0.20, 0.75, 0.35, 0.9)
KEEP_OUT: Colour = (0.90, 0.25, 0.20, 0.18)
LABEL: Colour = (0.95, 0.95, 0.95, 0.9)
CAMERA: Colour = (0.30, 0.60, 0.95, 0.9)
CAMERA_LOST: Colour = (0.95, 0.30, 0.20, 1.0)

LINE = 0.003  # m
LETTERS = 0.03  # m
FRUSTUM = 0.12  # m, how far a camera's view is drawn

_EDGES = [(a, b) for a in range(8) for b in range(a + 1, 8) if (a ^ b).bit_count() == 1]
# A camera's body looks along x, with y to the left and z up.
_CORNERS = ((1, 1), (1, -1), (-1, -1), (-1, 1))


def boxes(cell: Cell) -> list[Mark]:
    """Return where tools may be, and where nothing may be."""
    marks = [
        Mark(
            "boxes/tool",
            0,
            Shape.SEGMENTS,
            TOOL_BOX,
            (LINE, 0.0, 0.0),
            points=_edges(cell.workspace.tool),
            stays=True,
        )
    ]
    for number, box in enumerate(cell.workspace.keep_out):
        lower, upper = np.array(box.lower), np.array(box.upper)
        x, y, z = (float(edge) for edge in upper - lower)
        pose = np.eye(4)
        pose[:3, 3] = (lower + upper) / 2
        marks.append(
            Mark("boxes/keep_out", number, Shape.BOX, KEEP_OUT, (x, y, z), pose=pose, stays=True)
        )
        name = np.eye(4)
        name[:3, 3] = (upper[0], upper[1], upper[2] + LETTERS)
        marks.append(
            Mark(
                "boxes/names",
                number,
                Shape.TEXT,
                LABEL,
                (LETTERS, 0.0, 0.0),
                pose=name,
                text=box.name,
                stays=True,
            )
        )
    return marks


def cameras(cell: Cell, frames: Mapping[str, Array], lost: Collection[str]) -> list[Mark]:
    """Return what each camera looks at; `lost` are those that send no pictures."""
    marks = []
    for number, camera in enumerate(cell.cameras):
        if camera.mount.frame not in frames:
            continue  # on an arm of which nothing is known yet
        pose = frames[camera.mount.frame] @ camera.mount.matrix()
        colour = CAMERA_LOST if camera.name in lost else CAMERA
        name = pose.copy()
        name[:3, 3] += (0.0, 0.0, LETTERS)
        marks += [
            Mark(
                "cameras/view",
                number,
                Shape.SEGMENTS,
                colour,
                (LINE, 0.0, 0.0),
                pose=pose,
                points=_frustum(camera),
            ),
            Mark(
                "cameras/names",
                number,
                Shape.TEXT,
                colour,
                (LETTERS, 0.0, 0.0),
                pose=name,
                text=camera.name,
            ),
        ]
    return marks


def _edges(box: Box) -> Array:
    corners = np.array(np.meshgrid(*zip(box.lower, box.upper, strict=True), indexing="ij"))
    corners = corners.reshape(3, 8).T
    return np.array([corners[end] for edge in _EDGES for end in edge])


def _frustum(camera: Camera) -> Array:
    """Return the edges of the pyramid that a camera sees, in the frame of its body."""
    height = float(np.tan(camera.vertical_fov / 2))
    width = height * camera.width / camera.height
    far = [FRUSTUM * np.array([1.0, y * width, z * height]) for y, z in _CORNERS]
    eye = np.zeros(3)
    around = zip(far, [*far[1:], far[0]], strict=True)
    return np.array(
        [*(p for corner in far for p in (eye, corner)), *(p for e in around for p in e)]
    )
