"""The result as tables for people."""

from __future__ import annotations

from typing import Any

from benchmarks.common.result import Table

_COLUMNS = (
    "load", "recorder", "core", "memory", "messages/s", "written", "lost", "unaccounted", "finish",
)  # fmt: skip


def tables(result: dict[str, Any]) -> list[Table]:
    """Return everything that is printed."""
    cells = [
        (
            row["load"],
            row["recorder"],
            f"{row['cpu'] * 100:.0f} %",
            f"{row['memory_mb']:.0f} MB",
            f"{row['sent_per_second']:.0f}",
            str(row["written"]),
            str(row["lost"]),
            str(row["unaccounted"]),
            f"{row['finish_seconds']:.2f} s",
        )
        for row in result["rows"]
    ]
    return [Table("Recording: cameras and joint states, numbered by the sender", _COLUMNS, cells)]
