"""The whole study."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.common import result as results
from benchmarks.delay.grid import full_grid, quick_grid
from benchmarks.delay.play import play
from benchmarks.delay.plot import plot_delays
from labvla_bringup.bench_cell import bench_cell
from labvla_policy.runtime.cell import load_cell
from labvla_sim.tasks.disturbance import DISTANCE, SECONDS, WINDOW

CELL = "franka"
RESULT = "bench_delay.json"
PICTURE = "bench_delay.png"


def run(out: Path, seeds: int, quick: bool, tell: Callable[[str], None]) -> dict[str, Any]:
    """Measure, write result and picture into `out`, return the result."""
    grid = quick_grid() if quick else full_grid(seeds)
    rows = play(grid, bench_cell(load_cell(CELL)), tell)
    result = {
        "benchmark": "delay",
        "date": results.now(),
        "quick": quick,
        "cell": CELL,
        "machine": results.machine(),
        "versions": results.versions("numpy", "mujoco"),
        "target_move": {"distance": DISTANCE, "between": WINDOW, "seconds": SECONDS},
        "notes": [
            "rtc: the expert cannot continue a prefix. As it is, rtc asks and answers as async "
            "does; 'rtc, continuing' bends its answers onto the prefix (benchmarks/delay)",
        ],
        "rows": rows,
    }
    results.write_json(result, out / RESULT)
    plot_delays(rows, out / PICTURE)
    return result
