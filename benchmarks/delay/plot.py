"""Success, time and smoothness against the delay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from benchmarks.common.look import STYLE
from benchmarks.common.result import select

Row = dict[str, Any]


@dataclass(frozen=True)
class _Panel:
    label: str
    value: Callable[[Row], float]
    span: Callable[[Row], tuple[float, float]] | None = None
    bottom: float = 0.0


_PANELS = (
    _Panel(
        "success [%], 95 % interval",
        lambda row: 100 * row["success"] / row["n"],
        lambda row: (100 * row["low"], 100 * row["high"]),
        50.0,
    ),
    _Panel("median time to success [s]", lambda row: row["seconds"], bottom=4.0),
    _Panel("gap between plans, p95 [mrad]", lambda row: 1e3 * row["plan_gap_p95"]),
    _Panel("gap of their speeds, p95 [rad/s]", lambda row: row["plan_velocity_gap_p95"]),
    _Panel(
        "boundary jerk of the reference,\nmedian [rad/s³]",
        lambda row: row["boundary_jerk_median"],
    ),
)
_COLOURS = {
    "sync": "#7bb2d9",
    "async": "#d7263d",
    "ensemble": "#2a9d8f",
    "rtc, continuing": "#e9a23b",
}
_STAGGER = 3.0  # ms between modes, so that intervals can be told apart


def plot_delays(rows: list[Row], path: Path) -> None:
    """Draw a column per task, a line per mode."""
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    modes = list(dict.fromkeys(row["mode"] for row in rows))
    with mpl.rc_context(STYLE):
        size = (4.2 * len(tasks) + 0.4, 2.3 * len(_PANELS) + 0.6)
        figure = Figure(figsize=size, dpi=150, layout="constrained")
        grid = figure.subplots(len(_PANELS), len(tasks), squeeze=False, sharex=True, sharey="row")
        for column, task in enumerate(tasks):
            for line, panel in enumerate(_PANELS):
                for place, mode in enumerate(modes):
                    shift = _STAGGER * (place - (len(modes) - 1) / 2)
                    _line(grid[line, column], select(rows, task=task, mode=mode), panel, shift)
                grid[line, 0].set_ylabel(panel.label)
                grid[line, column].grid(alpha=0.25)
            grid[0, column].set_title(task, loc="left", fontsize=10)
            grid[-1, column].set_xlabel("delay of the engine [ms]")
        for line, panel in enumerate(_PANELS):
            grid[line, 0].set_ylim(bottom=panel.bottom)
        grid[0, 0].legend(loc="lower left", frameon=False)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)


def _line(axes: Any, rows: list[Row], panel: _Panel, shift: float) -> None:
    at = np.array([1e3 * row["delay"] for row in rows]) + shift
    mode = rows[0]["mode"]
    colour = _COLOURS.get(mode, "#555555")
    values = [panel.value(row) for row in rows]
    axes.plot(at, values, color=colour, marker="o", markersize=4, label=mode)
    if panel.span is not None:
        low, high = np.array([panel.span(row) for row in rows]).T
        axes.vlines(at, low, high, color=colour, alpha=0.6, linewidth=1.5)
