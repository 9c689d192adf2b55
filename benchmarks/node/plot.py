"""Latencies and processor time of both nodes, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from benchmarks.common.look import FAINT, STYLE
from benchmarks.common.result import select
from benchmarks.node.rows import AIM_P50, AIM_P99

Row = dict[str, Any]

_LOOKS = {
    "labvla": ("this node", "#d7263d", -0.19),
    "naive": ("as usually written", "#7bb2d9", 0.19),
}
_HEIGHT = 0.36


def plot_nodes(rows: list[Row], path: Path) -> None:
    """Draw a line of bars per case: p50 with p99, and processor time."""
    cases = list(dict.fromkeys(row["case"] for row in rows))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(11.0, 0.62 * len(cases) + 1.6), dpi=150, layout="constrained")
        first, second, third = figure.subplots(1, 3, sharey=True)
        for kind, (label, colour, shift) in _LOOKS.items():
            own = [select(rows, case=case, node=kind)[0] for case in cases]
            at = np.arange(len(cases)) + shift
            for axes, name in ((first, "before"), (second, "after")):
                p50, p99 = (
                    np.array([1e3 * row[f"{name}_{q}"] for row in own]) for q in ("p50", "p99")
                )
                axes.barh(at, p50, _HEIGHT, color=colour, label=label)
                axes.hlines(at, p50, p99, color=colour, linewidth=1.2)
                axes.plot(p99, at, "|", color=colour)
            third.barh(at, [row["cpu"] for row in own], _HEIGHT, color=colour)
        for axes, title in (
            (first, "message in → engine in [ms]"),
            (second, "engine out → controller [ms]"),
        ):
            axes.set_xlabel(f"{title}\nbar p50, line to p99")
            for aim in (AIM_P50, AIM_P99):
                axes.axvline(1e3 * aim, color=FAINT, linewidth=0.8, linestyle=":")
        third.set_xlabel("processor seconds per second")
        first.set_yticks(range(len(cases)), cases)
        first.invert_yaxis()
        first.legend(frameon=False, loc="lower right")
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)
