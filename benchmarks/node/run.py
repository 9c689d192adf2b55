"""The whole benchmark."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.common import result as results
from benchmarks.node.bench import Bench
from benchmarks.node.grid import full_grid, quick_grid
from benchmarks.node.plot import plot_nodes
from benchmarks.node.rows import rows_of, verdicts

CELL = "franka"
RESULT = "bench_node.json"
PICTURE = "bench_node.png"


def run(out: Path, quick: bool, tell: Callable[[str], None]) -> dict[str, Any]:
    """Measure, write result and picture into `out`, return the result."""
    grid = quick_grid() if quick else full_grid()
    machine = results.machine()
    rows = []
    with tempfile.TemporaryDirectory(prefix="labvla-bench-node-") as folder:
        for number, case in enumerate(grid.cases, 1):
            tell(f"case {number} of {len(grid.cases)}: {case.name}")
            bench = Bench(case.load, case.rate, CELL, Path(folder) / str(number))
            rows.extend(rows_of(case, bench.run(list(grid.order), grid.seconds), bench.cell))
    result = {
        "benchmark": "node",
        "date": results.now(),
        "quick": quick,
        "cell": CELL,
        "machine": {**machine, "load_at_the_end": results.machine()["load"]},
        "versions": results.versions("numpy"),
        "order": grid.order,
        "seconds": grid.seconds,
        "verdicts": verdicts(rows),
        "rows": rows,
    }
    results.write_json(result, out / RESULT)
    plot_nodes(rows, out / PICTURE)
    return result
