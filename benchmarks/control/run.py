"""The whole benchmark."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.common import result as results
from benchmarks.control import jtc_recordings
from benchmarks.control.arm import load_arm
from benchmarks.control.cost import measure_cost
from benchmarks.control.grid import full_grid, quick_grid
from benchmarks.control.plot import plot_plane
from benchmarks.control.rows import play_grid
from benchmarks.control.verdicts import verdicts

CELL = "franka"
RESULT = "bench_control.json"
PICTURE = "bench_control.png"


def run(out: Path, quick: bool, tell: Callable[[str], None]) -> dict[str, Any]:
    """Measure, write result and picture into `out`, return the result."""
    arm = load_arm(CELL)
    grid = quick_grid() if quick else full_grid()
    rows = play_grid(grid, arm, tell)
    cost = measure_cost(repeats=2 if quick else 7, cycles=20_000 if quick else 200_000)
    result = {
        "benchmark": "control",
        "date": results.now(),
        "quick": quick,
        "cell": CELL,
        "machine": results.machine(),
        "versions": results.versions("numpy", "ruckig", "matplotlib"),
        "jtc_model": jtc_recordings.deviations(),
        "cost": cost,
        "verdicts": verdicts(rows, cost),
        "rows": rows,
    }
    results.write_json(result, out / RESULT)
    plot_plane(rows, arm, out / PICTURE)
    return result
