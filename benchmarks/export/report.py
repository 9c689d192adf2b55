"""The benchmark as a table for people."""

from __future__ import annotations

from typing import Any

from benchmarks.common.result import Table

_COLUMNS = (
    "method", "processes", "time", "real time", "against naive", "processor", "per raw GB", "size",
)  # fmt: skip


def tables(result: dict[str, Any]) -> list[Table]:
    """Return one table."""
    bags = result["bags"]
    title = (
        f"{bags['number']} bags of {bags['seconds']:g} s, {len(bags['cameras'])} cameras "
        f"{bags['cameras'][0]}, {bags['bytes'] / 1e9:.1f} GB, on "
        f"{result['machine']['usable_cores']} cores (load {result['machine']['load']})"
    )
    cells = [
        (
            row["method"],
            str(row["workers"]),
            f"{row['seconds']:.1f} s",
            f"{row['times_real_time']:.1f} x",
            f"{row['times_naive']:.1f} x",
            f"{row['cpu_seconds']:.1f} s",
            f"{row['seconds_per_gb']:.1f} s",
            f"{row['bytes'] / 1e6:.1f} MB",
        )
        for row in result["rows"]
    ]
    return [Table(title, _COLUMNS, cells)]
