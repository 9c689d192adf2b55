"""The study as tables for people."""

from __future__ import annotations

import math
from typing import Any

from benchmarks.common.result import Table, select

Row = dict[str, Any]

_COLUMNS = (
    "mode", "delay", "success", "95 %", "time", "chunks", "stops", "refused", "jerk", "worst",
    "10 ms", "worst", "plan gap", "p95", "speed gap", "p95",
)  # fmt: skip


def tables(result: dict[str, Any]) -> list[Table]:
    """Return a table per task."""
    rows = result["rows"]
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    return [
        Table(f"{task}: the target moves by 5 cm", _COLUMNS, [_cells(r) for r in own])
        for task in tasks
        if (own := select(rows, task=task))
    ]


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row["mode"],
        f"{row['delay'] * 1e3:.0f} ms",
        f"{row['success']}/{row['n']}",
        f"{row['low'] * 100:.0f}-{row['high'] * 100:.0f}",
        f"{row['seconds']:.1f} s" if math.isfinite(row["seconds"]) else "-",
        f"{row['chunks']:.0f}",
        f"{sum(row['stops'].values()):.1f}",
        f"{sum(row['refused'].values()):.1f}",
        f"{row['boundary_jerk_median']:.0f}",
        f"{row['boundary_jerk_max']:.0f}",
        f"{row['boundary_jerk_10ms_median']:.0f}",
        f"{row['boundary_jerk_10ms_max']:.0f}",
        f"{row['plan_gap_median'] * 1e3:.1f}",
        f"{row['plan_gap_p95'] * 1e3:.0f}",
        f"{row['plan_velocity_gap_median']:.2f}",
        f"{row['plan_velocity_gap_p95']:.2f}",
    )
