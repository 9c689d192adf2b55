"""Time per picture, by camera and size."""

from __future__ import annotations

from typing import Any

from benchmarks.sim.naive import NaiveLoop
from benchmarks.sim.timing import Work, least
from labvla_policy.runtime.cell import Cell
from labvla_sim.plant import CellRenderer, SimCell, Snapshot
from labvla_sim.tasks import Trial

Row = dict[str, Any]
Size = tuple[int, int]

OURS, SAME_LOOK, DEFAULT_LOOK = "cell", "naive, the cell's look", "naive, MuJoCo's look"


def measure(cell: Cell, task: str, sizes: list[Size], times: int, rounds: int) -> list[Row]:
    """Return a row per camera, size and way of drawing."""
    trial = Trial(SimCell(cell))
    trial.reset(task, 0)
    snapshot = trial.sim.snapshot()
    rows = []
    for size in sizes:
        naive = {
            name: NaiveLoop(snapshot, cell, size, look)
            for name, look in ((SAME_LOOK, False), (DEFAULT_LOOK, True))
        }
        for loop in naive.values():
            loop.step(1)
        for camera in cell.cameras:
            renderer = CellRenderer(cell, cameras=[camera.name], sizes=size)
            works: dict[str, Work] = {
                OURS: _drawing(renderer, snapshot),
                **{name: _naively(loop, camera.name) for name, loop in naive.items()},
            }
            seconds = least(works, times, rounds)
            renderer.close()
            rows += [
                {
                    "part": "pictures",
                    "what": what,
                    "camera": camera.name,
                    "width": size[0],
                    "height": size[1],
                    "milliseconds": 1e3 * taken,
                    "per_second": 1.0 / taken,
                    "times_naive": seconds[DEFAULT_LOOK] / taken,
                }
                for what, taken in seconds.items()
            ]
        for loop in naive.values():
            loop.close()
    return rows


def _drawing(renderer: CellRenderer, snapshot: Snapshot) -> Work:
    def draw(times: int) -> None:
        for _ in range(times):
            renderer.render(snapshot)

    return draw


def _naively(loop: NaiveLoop, camera: str) -> Work:
    def draw(times: int) -> None:
        for _ in range(times):
            loop.draw(camera)

    return draw
