"""What one control cycle costs: the controller package's own measurement, built and repeated."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

COMPILER = "c++"

_PACKAGE = Path(__file__).resolve().parents[2] / "ros2_ws" / "src" / "labvla_control"
_SOURCES = _PACKAGE / "test" / "cpp"
_FLAGS = ("-O2", "-DNDEBUG", "-std=c++17", "-pthread")


def measure_cost(repeats: int, cycles: int) -> list[dict[str, Any]]:
    """Time every `update` and `submit` of a stream with a splice every 100 ms.

    Every repetition does the same work, so the least disturbed one tells most about the code: each
    figure is the smallest over the repetitions. `disturbed_p999_us` is the largest: the machine.
    """
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "update_cost"
        includes = [f"-I{_PACKAGE / 'include'}", f"-I{_SOURCES}"]
        source = _SOURCES / "update_cost.cpp"
        subprocess.run([COMPILER, *_FLAGS, *includes, source, "-o", program], check=True)
        runs = [_run(program, cycles) for _ in range(repeats)]
    return [_condense(list(same)) for same in zip(*runs, strict=True)]


def _run(program: Path, cycles: int) -> list[dict[str, Any]]:
    done = subprocess.run([str(program), str(cycles)], check=True, capture_output=True, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def _condense(runs: list[dict[str, Any]]) -> dict[str, Any]:
    def smallest(what: str, quantile: str) -> float:
        return min(float(run[what][quantile]) for run in runs)

    return {
        "joints": runs[0]["joints"],
        "cycles": runs[0]["cycles"],
        "repeats": len(runs),
        "update_p50_us": smallest("update_us", "p50"),
        "update_p999_us": smallest("update_us", "p99.9"),
        "update_max_us": smallest("update_us", "max"),
        "splice_p50_us": smallest("splice_us", "p50"),
        "submit_p50_us": smallest("submit_us", "p50"),
        "disturbed_p999_us": max(float(run["update_us"]["p99.9"]) for run in runs),
    }
