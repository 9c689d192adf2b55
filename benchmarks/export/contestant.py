"""One converter in a process of its own: `python -m benchmarks.export.contestant METHOD …`.

Only so can its processor time be told, that of its workers included.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
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
_PR_SET_CHILD_SUBREAPER = 36


def run_apart(
    method: str, workers: int, cell: str, bags: Sequence[Path], target: Path
) -> dict[str, Any]:
    """Run a converter; return frames, time of day and processor time."""
    words = [method, str(workers), cell, str(target), *map(str, bags)]
    _adopt_orphans()
    before = _of_children()
    with tempfile.TemporaryFile("w+") as output:
        command = [sys.executable, "-m", "benchmarks.export.contestant", *words]
        if subprocess.run(command, stdout=output, cwd=_ROOT, check=False).returncode != 0:
            raise RuntimeError(f"the converter {method} failed; its output is above")
        _reap_orphans()
        output.seek(0)
        told = json.load(output)
    return {**told, "cpu_seconds": _of_children() - before}


def _adopt_orphans() -> None:
    """Become the parent of what a converter leaves: the server of its workers outlives it."""
    if ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise RuntimeError("expected a kernel that knows subreapers (Linux 3.4 or newer)")


def _reap_orphans() -> None:
    """Wait for them: only then are they counted."""
    try:
        while True:
            os.wait()
    except ChildProcessError:
        return


def _of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


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
