"""The whole benchmark."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import result as results
from benchmarks.data.recording.contest import Load, Row, labvla, naive
from labvla_bringup.bench_cell import write_bench_cell
from labvla_policy.runtime.cell import load_cell

CELL = "franka"
RESULT = "bench_data.json"
# bench: 3 x 224 x 224 raw and 200 Hz; lab: 3 x 640 x 480 raw and 1 kHz; jpeg: the same, compressed.
LOADS = ("bench", "lab", "jpeg")
RECORDERS = {"labvla": labvla, "naive": naive}
QUICK_SECONDS = 3.0


def run(
    out: Path,
    seconds: float,
    loads: Sequence[str],
    recorders: Sequence[str],
    quick: bool,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    """Measure, write the result into `out`, return it."""
    if quick:
        seconds, loads = QUICK_SECONDS, LOADS[:1]
    rows: list[Row] = []
    for name in loads:
        for recorder in recorders:
            tell(f"{name}: {recorder}, {seconds:g} s")
            rows.append(_row(RECORDERS[recorder], name, seconds, out))
    result = {
        "benchmark": "data",
        "date": results.now(),
        "quick": quick,
        "cell": CELL,
        "machine": results.machine(),
        "versions": results.versions("mcap", "mcap-ros2-support"),
        "rows": rows,
    }
    results.write_json(result, out / RESULT)
    return result


def _row(recorder: Callable[[Load, Path, float], Row], name: str, seconds: float, out: Path) -> Row:
    """Record into a folder beside the result, on the disk that is meant; it is not kept."""
    out.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="recording-", dir=out)).resolve()
    try:
        cell = load_cell(CELL)
        if name == "bench":
            cell = write_bench_cell(cell, folder)
        return recorder(Load(name, cell, "jpeg" if name == "jpeg" else "cell"), folder, seconds)
    finally:
        shutil.rmtree(folder)
