"""The result as tables for people."""

from __future__ import annotations

from typing import Any

from benchmarks.common.result import Table, select
from benchmarks.sim.pictures import DEFAULT_LOOK

Row = dict[str, Any]


def tables(result: dict[str, Any]) -> list[Table]:
    """Return a table per part."""
    rows = result["rows"]
    return [
        _physics(select(rows, part="physics"), result["machine"]["load"]),
        _pictures(select(rows, part="pictures")),
        _publishing(select(rows, part="publishing")),
        _episodes(select(rows, part="episodes")),
        _real_time(select(rows, part="real time")),
        _memory(select(rows, part="memory")),
    ]


def _physics(rows: list[Row], load: float) -> Table:
    return Table(
        f"Steps of 1 ms in one thread (load {load})",
        ("scene", "what", "one step", "per second", "of mj_step's speed"),
        [
            (
                r["scene"],
                r["what"],
                f"{r['microseconds']:.1f} us",
                f"{r['per_second']:.0f}",
                f"{r['of_mj_step'] * 100:.0f} %",
            )
            for r in rows
        ],
    )


def _pictures(rows: list[Row]) -> Table:
    return Table(
        "Pictures, one camera at a time",
        ("size", "camera", "drawn by", "one picture", "per second", f"against {DEFAULT_LOOK}"),
        [
            (
                f"{r['width']} x {r['height']}",
                r["camera"],
                r["what"],
                f"{r['milliseconds']:.2f} ms",
                f"{r['per_second']:.0f}",
                f"{r['times_naive']:.1f} x",
            )
            for r in rows
        ],
    )


def _publishing(rows: list[Row]) -> Table:
    return Table(
        "Messages, to one listener",
        ("what", "one message"),
        [(r["what"], f"{r['microseconds']:.0f} us") for r in rows],
    )


def _episodes(rows: list[Row]) -> Table:
    return Table(
        "In lock-step, one thread",
        ("task", "what", "simulated", "took", "real time", "success"),
        [
            (
                r["task"],
                r["what"],
                f"{r['simulated']:.1f} s",
                f"{r['seconds']:.1f} s",
                f"{r['times_real_time']:.1f} x",
                f"{r['success']}/{r['episodes']}" if "episodes" in r else "-",
            )
            for r in rows
        ],
    )


def _real_time(rows: list[Row]) -> Table:
    return Table(
        "In real time: plant and servo in one thread, cameras in another",
        ("size", "real time", "pictures/s", "dropped", "drawing all", "one tick", "latest tick"),
        [
            (
                f"{r['width']} x {r['height']}",
                f"{r['real_time_factor']:.3f}",
                f"{r['camera_rate']:.1f}",
                str(r["frames_dropped"]),
                f"{r['draw_ms']:.1f} ms",
                f"{r['tick_us']:.0f} us",
                f"{r['worst_lag_ms']:.0f} ms",
            )
            for r in rows
        ],
    )


def _memory(rows: list[Row]) -> Table:
    return Table(
        "Memory of a process",
        ("what", "resident"),
        [(r["what"], f"{r['memory_mb']:.0f} MB") for r in rows],
    )
