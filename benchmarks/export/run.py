"""The whole benchmark."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.common import result as results
from benchmarks.export.camera_bag import write_bag
from benchmarks.export.contestant import run_apart
from labvla_data.parallel import cores
from labvla_policy.runtime.cell import load_cell

CELL = "franka"
RESULT = "bench_export.json"
BAGS = 2
LENGTH, QUICK_LENGTH = 20.0, 3.0  # s of each bag


def run(out: Path, quick: bool, tell: Callable[[str], None]) -> dict[str, Any]:
    """Measure, write the result into `out`, return it."""
    cell = load_cell(CELL)
    seconds = QUICK_LENGTH if quick else LENGTH
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix="data-") as folder:
        place = Path(folder)
        bags = [place / f"bag{number}" for number in range(BAGS)]
        size = 0
        for number, bag in enumerate(bags):
            tell(f"writing bag {number + 1} of {BAGS}")
            size += write_bag(bag, cell, seconds, number)
        rows = _contest(bags, place, tell)
    fps = int(cell.policy.row_rate)
    for row in rows:
        row["times_real_time"] = BAGS * seconds / row["seconds"]
        row["seconds_per_gb"] = row["seconds"] / (size / 1e9)
    base = next(row for row in rows if row["method"] == "naive")
    for row in rows:
        row["times_naive"] = base["seconds"] / row["seconds"]
        row["cpu_of_naive"] = row["cpu_seconds"] / base["cpu_seconds"]
    result = {
        "benchmark": "export",
        "date": results.now(),
        "quick": quick,
        "machine": {**results.machine(), "usable_cores": cores()},
        "versions": results.versions("numpy", "av", "pyarrow", "mcap", "rosbags"),
        "bags": {
            "number": BAGS,
            "seconds": seconds,
            "bytes": size,
            "cameras": [f"{c.width} x {c.height} at {c.rate:g} Hz" for c in cell.policy_cameras],
            "fps": fps,
        },
        "notes": [
            "naive (benchmarks/export/naive.py): rosbags, every message decoded, one thread, PNG "
            "files between camera and video, H.264 as LeRobot 0.3.3 asks for it",
            "labvla also hashes every picture, compares with what the node has seen, takes "
            "statistics and writes through to the disk before the dataset has its name",
        ],
        "rows": rows,
    }
    results.write_json(result, out / RESULT)
    return result


def _contest(bags: list[Path], place: Path, tell: Callable[[str], None]) -> list[dict[str, Any]]:
    rows = []
    ours = [("labvla", workers) for workers in dict.fromkeys((1, min(BAGS, cores())))]
    for method, workers in [*ours, ("naive", 1)]:
        tell(f"{method}, {workers} processes")
        target = place / "dataset"
        row = run_apart(method, workers, CELL, bags, target)
        rows.append({"method": method, "workers": workers, "bytes": _size(target), **row})
        shutil.rmtree(target)
    return rows


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
