"""The whole benchmark."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.common import result as results
from benchmarks.soak.figures import figures
from benchmarks.soak.growth import ALLOWED, SETTLING
from benchmarks.soak.plot import plot_soak
from benchmarks.soak.session import TASKS, hold
from labvla_bringup.bench_cell import write_bench_cell
from labvla_policy.runtime.cell import load_cell

CELL = "franka"
RESULT = "bench_soak.json"
PICTURE = "bench_soak.png"
QUICK_MINUTES = 0.5


def run(
    out: Path, minutes: float, recording: bool, quick: bool, tell: Callable[[str], None]
) -> dict[str, Any]:
    """Measure, write result and picture into `out`, return the result."""
    minutes = QUICK_MINUTES if quick else minutes
    machine = results.machine()
    out.mkdir(parents=True, exist_ok=True)
    # On the disk that is meant, and not kept unless something fails: then its logs say why.
    folder = Path(tempfile.mkdtemp(prefix="soak-", dir=out)).resolve()
    cell = write_bench_cell(load_cell(CELL), folder)
    session = hold(cell, minutes * 60, recording, folder, tell)
    result = {
        "benchmark": "soak",
        "date": results.now(),
        "quick": quick,
        "cell": CELL,
        "cameras": [f"{c.width} x {c.height} at {c.rate:g} Hz" for c in cell.cameras],
        "tasks": TASKS,
        "recording": recording,
        "minutes": minutes,
        "machine": {**machine, "load_at_the_end": results.machine()["load"]},
        "versions": results.versions("numpy", "mujoco"),
        "growth_rule": {"allowed_mb_per_minute": ALLOWED, "settling_seconds": SETTLING},
        **figures(session, cell),
    }
    results.write_json(result, out / RESULT)
    plot_soak(session, cell, out / PICTURE)
    shutil.rmtree(folder)
    return result
