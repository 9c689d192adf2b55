"""One converter in a process of its own: `python -m benchmarks.export.contestant METHOD …`.

Only so can its processor time be told, that of its workers included.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.export import naive
from labvla_data.dataset import open_dataset
from labvla_data.export.command import Form, export
from labvla_policy.runtime.cell import load_cell

_ROOT = Path(__file__).resolve().parents[2]


def run_apart(
    method: str, workers: int, cell: str, bags: Sequence[Path], target: Path
) -> dict[str, Any]:
    """Run a converter; return frames, time of day and processor time."""
    words = [method, str(workers), cell, str(target), *map(str, bags)]
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.export.contestant", *words], stdout=output, cwd=_ROOT
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise RuntimeError(f"the converter {method} failed; its output is above")
        output.seek(0)
        told = json.load(output)
    return {**told, "cpu_seconds": usage.ru_utime + usage.ru_stime}


def main(words: Sequence[str]) -> None:
    """Convert, and print how long it took."""
    method, workers, cell_name, target_name, *names = words
    bags, target, cell = [Path(name) for name in names], Path(target_name), load_cell(cell_name)
    begin = time.monotonic()
    if method == "labvla":
        export(bags, target, form=Form(), workers=int(workers))
        frames = open_dataset(target).frames
    else:
        target.mkdir()
        frames = naive.convert(bags, target, cell, int(cell.policy.row_rate))
    json.dump({"frames": frames, "seconds": time.monotonic() - begin}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
