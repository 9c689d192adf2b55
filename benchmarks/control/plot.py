"""The jerk-lag plane."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from benchmarks.common.look import FAINT, STYLE
from benchmarks.common.result import select
from benchmarks.control.arm import Arm
from benchmarks.control.rows import Row

_GREEN = "#4a8058"
_RED = "#bb4444"

_LOWEST_JERK = 2.0


@dataclass(frozen=True)
class _Look:
    label: str
    colour: str
    marker: str


_LOOKS = {
    "labvla": _Look("this controller", "#d7263d", "*"),
    "jtc_replace": _Look("JTC, whole chunks", "#7bb2d9", "s"),
    "jtc_replace_trimmed": _Look("JTC, trimmed chunks", "#7bb2d9", "o"),
    "jtc_continuity": _Look("JTC with velocity continuity, whole chunks", "#1b4f8f", "s"),
    "jtc_continuity_trimmed": _Look("JTC with velocity continuity, trimmed", "#1b4f8f", "o"),
    "linear_replace": _Look("linear interpolation", "#8d6a9f", "D"),
    "ema": _Look("low-pass of set-points", "#2a9d8f", "o"),
    "ruckig_rest": _Look("Ruckig, to rest at each row", "#e9a23b", "v"),
    "ruckig_rows": _Look("Ruckig, through each row", "#e9a23b", "^"),
}

_AXES = (
    ("lag", "lag behind the newest plan [ms]"),
    ("rms_shifted", "RMS off the newest plan, lag taken out [mrad]"),
    ("rms_intended", "RMS off the motion that the policy meant [mrad]"),
)


def plot_plane(rows: list[Row], arm: Arm, path: Path) -> None:
    """Draw boundary jerk against lag and against the remaining error, a column per disagreement."""
    shown = select(rows, network="rough", row_noise=0.0, horizon=50)
    sigmas = sorted({row["disagreement"] for row in shown})
    with mpl.rc_context(STYLE):
        figure = Figure(
            figsize=(4.1 * max(len(sigmas), 2), 3.3 * len(_AXES) + 1.6),
            dpi=150,
            layout="constrained",
        )
        grid = figure.subplots(len(_AXES), len(sigmas), sharey=True, squeeze=False)
        for column, sigma in enumerate(sigmas):
            for line, (figure_of_x, label) in enumerate(_AXES):
                axes = grid[line, column]
                _panel(axes, select(shown, disagreement=sigma), figure_of_x, arm)
                axes.set_xlabel(label)
            grid[0, column].set_title(
                f"chunks disagree by {sigma * 1e3:.0f} mrad", fontsize=10, loc="left"
            )
        for line in range(len(_AXES)):
            grid[line, 0].set_ylabel("largest boundary jerk [rad/s³]")
        highest = max(row["boundary_jerk_max"] for row in shown)
        grid[0, 0].set_ylim(_LOWEST_JERK, 3.0 * highest)
        _name_limits(grid[0, -1], arm)
        figure.suptitle(
            "Jerk at chunk boundaries, and its price\n",
            fontsize=13,
            fontweight="bold",
            x=0.01,
            ha="left",
        )
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=8.5
        )
        figure.savefig(path)


def _panel(axes: Any, rows: list[Row], figure_of_x: str, arm: Arm) -> None:
    points = _points(rows, figure_of_x)
    axes.set_yscale("log")
    allowed = float(arm.jerk.min())
    axes.axhspan(_LOWEST_JERK, allowed, color="#e3f1e6", zorder=0, lw=0)
    axes.axhline(allowed, color=_GREEN, lw=0.8, zorder=1)
    if arm.hardware_jerk is not None:
        axes.axhline(float(arm.hardware_jerk.min()), color=_RED, lw=0.8, ls=(0, (5, 4)), zorder=1)
    for method, look in _LOOKS.items():
        if method not in points:
            continue
        x, y, low, high = np.array(points[method]).T
        ours = method == "labvla"
        axes.errorbar(
            x,
            y,
            yerr=[y - low, high - y],
            fmt=f"-{look.marker}",
            color=look.colour,
            ms=15 if ours else 6,
            mec="white",
            mew=0.8,
            lw=1.0,
            elinewidth=0.7,
            alpha=1.0 if ours else 0.9,
            zorder=6 if ours else 4,
            label=look.label,
        )
    _front(axes, [point[:2] for own in points.values() for point in own])
    axes.grid(axis="y", color="#e4e7eb", lw=0.6, zorder=0)
    axes.margins(x=0.08)


def _name_limits(axes: Any, arm: Arm) -> None:
    """Write what the horizontal lines are at their right ends."""
    limits = [(arm.jerk, "inside the operating limit", _GREEN, "top", -26)]
    if arm.hardware_jerk is not None:
        limits.append((arm.hardware_jerk, "the robot's own limit", _RED, "bottom", 2))
    for limit, text, colour, alignment, offset in limits:
        axes.annotate(
            text,
            (1.0, float(limit.min())),
            xycoords=("axes fraction", "data"),
            xytext=(-2, offset),
            textcoords="offset points",
            ha="right",
            va=alignment,
            fontsize=8,
            color=colour,
        )


def _points(rows: list[Row], figure_of_x: str) -> dict[str, list[tuple[float, ...]]]:
    """Return for each method its settings: median over the delays, and the range of the jerk."""
    points: dict[str, list[tuple[float, ...]]] = {}
    for method, setting in dict.fromkeys((row["method"], row["setting"]) for row in rows):
        own = select(rows, method=method, setting=setting)
        jerk = np.array([row["boundary_jerk_max"] for row in own])
        x = float(np.median([abs(row[figure_of_x]) for row in own])) * 1e3
        points.setdefault(method, []).append((x, float(np.median(jerk)), jerk.min(), jerk.max()))
    return points


def _front(axes: Any, points: list[tuple[float, ...]]) -> None:
    """Draw the border of what is not beaten in both directions."""
    front: list[tuple[float, float]] = []
    for x, y in sorted((float(x), float(y)) for x, y in points):
        if not front or y < front[-1][1]:
            front.append((x, y))
    right = axes.get_xlim()[1]
    xs, ys = zip(*front, (right, front[-1][1]), strict=True)
    axes.step(xs, ys, where="post", color=FAINT, lw=5, alpha=0.35, zorder=2, label="Pareto front")
