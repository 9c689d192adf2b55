"""The result as tables for people."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from benchmarks.common.result import Table, select
from benchmarks.control.rows import Row


def tables(result: dict[str, Any]) -> list[Table]:
    """Return everything that is printed."""
    rows = result["rows"]
    fed = [row for row in rows if not row["starved"] and row["network"] == "rough"]
    long = select(fed, horizon=50, row_noise=0.0)
    found: list[Table] = []
    for sigma in sorted({row["disagreement"] for row in long}):
        title = f"Chunks of 50 rows that disagree by {sigma * 1e3:.0f} mrad, all delays"
        found.append(_methods(title, select(long, disagreement=sigma)))
    noisy = [row for row in fed if row["row_noise"] > 0 and row["horizon"] == 50]
    if noisy:
        found.append(_methods("Row noise of 1 and 3 mrad, 50 rows, all delays", noisy))
    if short := [row for row in rows if row["horizon"] == 10 and not row["starved"]]:
        found.append(_methods("Chunks of 10 rows, delays that leave no gap", short))
    found.append(_cost(result["cost"]))
    found.append(_verdicts(result["verdicts"]))
    return found


def _methods(title: str, rows: list[Row]) -> Table:
    columns = (
        "method", "lag", "RMS", "intent", "seam jerk", "10 ms", "v step", "taken", "outside",
        "stop", "travel",
    )  # fmt: skip
    keys = list(dict.fromkeys((row["method"], row["setting"]) for row in rows))
    cells = []
    for method, setting in keys:
        own = select(rows, method=method, setting=setting)
        cells.append(
            (
                f"{method} {setting}".strip(),
                f"{_median(own, 'lag') * 1e3:.0f}",
                f"{_median(own, 'rms_shifted') * 1e3:.1f}",
                f"{_median(own, 'rms_intended') * 1e3:.1f}",
                _thousands(_median(own, "boundary_jerk_max")),
                _thousands(_median(own, "boundary_jerk_10ms")),
                f"{_median(own, 'boundary_velocity_step'):.3g}",
                f"{min(row['accepted'] for row in own) * 100:.0f} %",
                f"{max(row['violations'] for row in own) * 100:.2g} %",
                _seconds(max(row["stop_time"] for row in own)),
                f"{max(row['stop_distance'] for row in own):.2f}",
            )
        )
    return Table(title, columns, cells)


def _median(rows: Iterable[Row], name: str) -> float:
    return float(np.median([row[name] for row in rows]))


def _thousands(value: float) -> str:
    return f"{value:,.0f}".replace(",", "\u202f")


def _seconds(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "never"


def _cost(cost: list[dict[str, Any]]) -> Table:
    columns = ("joints", "p50", "p99.9", "max", "p50 with a splice", "p50 of submit")
    names = (
        "update_p50_us", "update_p999_us", "update_max_us", "splice_p50_us", "submit_p50_us",
    )  # fmt: skip
    cells = [(str(entry["joints"]), *(f"{entry[name]:.1f}" for name in names)) for entry in cost]
    return Table("Cost of one update [µs]", columns, cells)


def _verdicts(entries: list[dict[str, Any]]) -> Table:
    def text(value: Any) -> str:
        return f"{value:.3g}" if isinstance(value, float) else str(value)

    cells = [
        (
            entry["aim"],
            text(entry["wanted"]),
            text(entry["found"]),
            "reached" if entry["reached"] else "NOT reached",
            entry["detail"],
        )
        for entry in entries
    ]
    return Table("Aims", ("aim", "wanted", "found", "", "detail"), cells)
