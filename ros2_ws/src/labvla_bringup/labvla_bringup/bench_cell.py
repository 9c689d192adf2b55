"""The cell as bench mode runs it: the same cell with pictures and rates that two cores can bear.

A lab's camera sends 640 x 480 at 30 Hz and its robot 1000 joint states a second. Drawing the former
alone takes a core without a GPU, and Python cannot publish the latter. The policy resizes every
picture to 224 x 224 anyway. The changed description is written beside the logs: every process reads
it, so nobody disagrees about it, and a recording keeps its hash.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from labvla_policy.runtime.cell import Cell, write_cell

PICTURE = 224  # pixels, both ways
STATE_RATE = 200.0  # Hz


def bench_cell(cell: Cell, *, whole_pictures: bool = False) -> Cell:
    """Return the cell as the bench runs it; `whole_pictures`: as large as a lab's."""
    cameras = tuple(replace(camera, encoding="rgb8") for camera in cell.cameras)
    if not whole_pictures:
        cameras = tuple(replace(camera, width=PICTURE, height=PICTURE) for camera in cameras)
    states = replace(cell.joint_states, rate=min(cell.joint_states.rate, STATE_RATE))
    return replace(cell, cameras=cameras, joint_states=states)


def write_bench_cell(cell: Cell, folder: Path, *, whole_pictures: bool = False) -> Cell:
    """Write the cell for the bench into a folder and load it from there."""
    bench = bench_cell(cell, whole_pictures=whole_pictures)
    return write_cell(bench, folder / f"{cell.name}.yaml")
