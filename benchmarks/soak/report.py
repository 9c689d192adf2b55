"""The result as tables for people."""

from __future__ import annotations

from typing import Any

from benchmarks.common.result import Table


def tables(result: dict[str, Any]) -> list[Table]:
    """Return everything that is printed."""
    return [_work(result), _cameras(result), _processes(result), _accounts(result), _aims(result)]


def _work(result: dict[str, Any]) -> Table:
    work = result["work"]
    pace = result["pace"]
    return Table(
        f"{result['cell']}, expert, {result['seconds'] / 60:.1f} minutes, "
        f"{'every episode recorded' if result['recording'] else 'without recorder'} "
        f"(load at the begin {result['machine']['load']})",
        ("episodes", "success", "median", "chunks", "lost", "refused", "real time", "lowest"),
        [
            (
                str(work["episodes"]),
                str(work["success"]),
                f"{work['seconds_median']:.1f} s",
                str(work["chunks"]),
                str(work["chunks_lost"]),
                str(work["chunks_refused_by_controller"]),
                f"{pace['whole']:.4f}",
                f"{pace['lowest']:.3f}",
            )
        ],
    )


def _cameras(result: dict[str, Any]) -> Table:
    names = ("client", "client_lowest", "policy", "policy_lowest")
    return Table(
        "Pictures per second, and the lowest",
        ("camera", "at a client", "lowest", "at the policy", "lowest"),
        [(c["camera"], *(f"{c[n]:.2f}" for n in names)) for c in result["cameras_seen"]],
    )


def _processes(result: dict[str, Any]) -> Table:
    return Table(
        "Processes; growth in MB/min once settled, and of the second half of that",
        ("process", "core", "memory", "peak", "growth", "later"),
        [
            (
                row["process"],
                f"{row['cpu'] * 100:.0f} %",
                f"{row['memory_mb']:.0f} MB",
                f"{row['memory_peak_mb']:.0f} MB",
                f"{row['growth_mb_per_minute']:+.2f}",
                f"{row['growth_later_mb_per_minute']:+.2f}",
            )
            for row in result["rows"]
        ],
    )


def _accounts(result: dict[str, Any]) -> Table:
    columns = ("sent", "received", "counted", "never_sent", "refused", "unaccounted")
    return Table(
        "Every message",
        ("at", "topic", "sent", "received", "counted lost", "never sent", "refused", "unaccounted"),
        [
            (row["receiver"], row["topic"], *(str(row[name]) for name in columns))
            for row in result["accounts"]
        ],
    )


def _aims(result: dict[str, Any]) -> Table:
    return Table(
        "Aims",
        ("aim", "wanted", "found", "reached"),
        [
            (v["aim"], v["wanted"], f"{v['found']:.4g}", "yes" if v["reached"] else "NO")
            for v in result["verdicts"]
        ],
    )
