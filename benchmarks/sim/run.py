"""The whole benchmark."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.common import result as results
from benchmarks.sim import episodes, memory, physics, pictures, publishing
from labvla_bringup.bench_cell import bench_cell
from labvla_policy.runtime.cell import Cell, load_cell
from labvla_sim.benchmark import measure as run_in_real_time

CELL = "franka"
RESULT = "bench_sim.json"
TASKS = ["pick", "press"]
SIZES = [(224, 224), (320, 240), (640, 480)]
REAL_TIME = (20.0, 2.0)  # s, in full and in short


def run(out: Path, quick: bool, tell: Callable[[str], None]) -> dict[str, Any]:
    """Measure, write the result into `out`, return it."""
    cell = bench_cell(load_cell(CELL))
    tasks, sizes = (TASKS[:1], SIZES[:1]) if quick else (TASKS, SIZES)
    ticks, frames, rounds = (300, 5, 2) if quick else (5000, 60, 5)
    rows = []
    for task in tasks:
        tell(f"{task}: steps")
        rows += physics.measure(cell, task, ticks, rounds)
    tell("pictures")
    rows += pictures.measure(cell, tasks[0], sizes, frames, rounds)
    tell("messages")
    rows += publishing.measure(cell, frames, rounds)
    rows += episodes.measure(cell, tasks, 1 if quick else 10, tell)
    for size in sizes:
        tell(f"in real time, {size[0]} x {size[1]}")
        rows.append(_real_time(cell, size, REAL_TIME[quick]))
    tell("memory")
    rows += memory.measure(CELL, tasks[0])
    result = {
        "benchmark": "sim",
        "date": results.now(),
        "quick": quick,
        "cell": CELL,
        "machine": results.machine(),
        "versions": results.versions("numpy", "mujoco"),
        "notes": [
            "naive: mj_step on the same model, and a mujoco.Renderer for every camera and frame, "
            "in one thread; it has no controller, noise, torque limits, judge or expert",
            "times are the least of several rounds in which all have their turn",
        ],
        "rows": rows,
    }
    results.write_json(result, out / RESULT)
    return result


def _real_time(cell: Cell, size: tuple[int, int], seconds: float) -> dict[str, Any]:
    row = asdict(run_in_real_time(cell, seconds, size))
    return {"part": "real time", "what": "plant and servo in one thread, cameras in another", **row}
