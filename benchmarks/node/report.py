"""The result as tables for people."""

from __future__ import annotations

from typing import Any

from benchmarks.common.result import Table

_COLUMNS = (
    "case", "node", "in p50", "p99", "out p50", "p99", "plans/s", "cpu", "engine's", "memory",
    "sent", "lost", "unexplained",
)  # fmt: skip


def tables(result: dict[str, Any]) -> list[Table]:
    """Return everything that is printed."""
    found = [
        Table(
            "Milliseconds; processor time per second", _COLUMNS, [_cells(r) for r in result["rows"]]
        )
    ]
    missed = [
        (v["aim"], v["case"], f"{v['wanted']:g}", f"{v['found']:.3g}")
        for v in result["verdicts"]
        if not v["reached"]
    ]
    reached = len(result["verdicts"]) - len(missed)
    title = f"Aims: {reached} of {len(result['verdicts'])} reached; the others"
    return [*found, Table(title, ("aim", "case", "wanted", "found"), missed)]


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    def number(name: str) -> str:
        return "not counted" if row[name] is None else str(row[name])

    return (
        row["case"],
        row["node"],
        *(
            f"{row[name] * 1e3:.1f}"
            for name in ("before_p50", "before_p99", "after_p50", "after_p99")
        ),
        f"{row['plans_per_second']:.1f}",
        f"{row['cpu']:.3f}",
        f"{row['cpu_engine']:.3f}",
        f"{row['memory_mb']:.0f} MB",
        number("sent"),
        number("counted_lost"),
        number("unexplained"),
    )
