"""Memory after a simulated second, in a process of its own: `python -m benchmarks.sim.memory …`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.common.usage import usage
from benchmarks.sim.naive import NaiveLoop
from labvla_bringup.bench_cell import bench_cell
from labvla_policy.runtime.cell import Cell, load_cell
from labvla_sim.plant import CellRenderer, SimCell
from labvla_sim.plant.controlled import ControlledCell
from labvla_sim.tasks import Trial

Row = dict[str, Any]

LIBRARIES, CELL, DRAWN, NAIVE = (
    "libraries, nothing built",
    "plant, controller and judge",
    "plant, controller, judge and cameras",
    "naive loop and cameras, MuJoCo's look",
)
_TICKS = 1000
_ROOT = Path(__file__).resolve().parents[2]


def measure(cell: str, task: str) -> list[Row]:
    """Return a row per arrangement."""
    rows = []
    for what in (LIBRARIES, CELL, DRAWN, NAIVE):
        told = subprocess.run(
            [sys.executable, "-m", "benchmarks.sim.memory", cell, task, what],
            check=True,
            capture_output=True,
            text=True,
            cwd=_ROOT,
        )
        rows.append({"part": "memory", "what": what, "memory_mb": json.loads(told.stdout)})
    return rows


def _work(cell: Cell, task: str, what: str) -> object:
    """Return what was at work: as long as it is kept, so is its memory."""
    if what == LIBRARIES:
        return None
    trial = Trial(SimCell(cell))
    trial.reset(task, 0)
    if what == NAIVE:
        size = cell.cameras[0].width, cell.cameras[0].height
        loop = NaiveLoop(trial.sim.snapshot(), cell, size, default_look=True)
        loop.run(_TICKS)
        return trial, loop
    controlled = ControlledCell(trial)
    renderer = CellRenderer(cell)
    for _ in range(_TICKS):
        controlled.tick()
    if what == DRAWN:
        renderer.render(trial.sim.snapshot())
    return controlled, renderer


def main() -> None:
    """Work, then tell the memory in MB."""
    name, task, what = sys.argv[1:]
    kept = _work(bench_cell(load_cell(name)), task, what)
    print(json.dumps(usage(os.getpid()).memory / 1e6))
    del kept


if __name__ == "__main__":
    main()
