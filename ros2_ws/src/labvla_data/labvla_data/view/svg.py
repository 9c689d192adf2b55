"""Small plots as SVG: lines over time, and histograms. No scripts, no files beside the page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from labvla_policy.runtime.types import Array

COLOURS = (
    "#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#b07aa1", "#9c755f", "#edc948", "#76b7b2",
)  # fmt: skip
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 14.0, 8.0, 20.0  # room for the axes
_MOST_POINTS = 480  # a line: more cannot be seen in a plot of this width


@dataclass(frozen=True)
class Line:
    """One line of a plot."""

    name: str
    values: Array
    dashed: bool = False


@dataclass(frozen=True)
class Frame:
    """A plot's size and the ranges that it shows."""

    width: float
    height: float
    x: tuple[float, float]
    y: tuple[float, float]
    left: float = _LEFT

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return where a point lies in the picture."""
        return (
            self.left + (x - self.x[0]) / _span(self.x) * (self.width - self.left - _RIGHT),
            self.height
            - _BOTTOM
            - (y - self.y[0]) / _span(self.y) * (self.height - _TOP - _BOTTOM),
        )


def line_plot(
    lines: Sequence[Line],
    dt: float,
    unit: str,
    *,
    shaded: Sequence[tuple[int, int]] = (),
    width: float = 1080.0,
    height: float = 220.0,
) -> str:
    """Return lines over time.

    Args:
        lines: all of the same length; a dashed one has the colour of the line of its name.
        dt: seconds between two values.
        unit: of the values.
        shaded: spans of rows to mark.
        width: of the picture.
        height: of the picture.
    """
    frames = max((len(line.values) for line in lines), default=0)
    if frames == 0:
        return ""
    values = np.concatenate([line.values for line in lines])
    frame = Frame(width, height, (0.0, max(frames - 1, 1) * dt), _padded(values))
    names = list(dict.fromkeys(line.name for line in lines))
    parts = [_shade(frame, begin * dt, min(end * dt, frame.x[1])) for begin, end in shaded]
    parts += _axes(frame, "s", unit)
    for line in lines:
        colour = COLOURS[names.index(line.name) % len(COLOURS)]
        parts.append(_polyline(frame, line.values, dt, colour, line.dashed))
    return picture(width, height, parts) + legend(names)


def histogram(
    counts: Array,
    low: float,
    high: float,
    title: str,
    *,
    width: float = 220.0,
    height: float = 100.0,
) -> str:
    """Return how often values occur between low and high."""
    top = float(counts.max()) if len(counts) and counts.max() > 0 else 1.0
    ends = (low, high) if high > low else (low - 0.5, high + 0.5)
    frame = Frame(width, height, ends, (0.0, top), left=_RIGHT)
    step = _span(frame.x) / max(len(counts), 1)
    parts = _axes(frame, "", "", rows=False)
    for number, count in enumerate(counts):
        if count > 0:
            x, y = frame.at(ends[0] + number * step, float(count))
            right, bottom = frame.at(ends[0] + (number + 1) * step, 0.0)
            parts.append(
                f'<rect class="bar" x="{x:.1f}" y="{y:.1f}" width="{max(right - x, 0.5):.1f}" '
                f'height="{bottom - y:.1f}"/>'
            )
    caption = f"<figcaption>{escape(title)}</figcaption>" if title else ""
    return f"<figure>{picture(width, height, parts)}{caption}</figure>"


def legend(names: Sequence[str]) -> str:
    """Return the names with their colours, in the order of `COLOURS`."""
    told = "".join(
        f'<span><i style="background:{COLOURS[n % len(COLOURS)]}"></i>{escape(name)}</span>'
        for n, name in enumerate(names)
    )
    return f'<div class="legend">{told}</div>'


def picture(width: float, height: float, parts: Sequence[str]) -> str:
    """Return a drawing of parts."""
    inside = "".join(parts)
    return f'<svg viewBox="0 0 {width:g} {height:g}" width="{width:g}" role="img">{inside}</svg>'


def _span(ends: tuple[float, float]) -> float:
    return ends[1] - ends[0] or 1.0


def _padded(values: Array) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if not len(finite):
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    room = 0.05 * (high - low) or 0.01
    return low - room, high + room


def _shade(frame: Frame, begin: float, end: float) -> str:
    left, top = frame.at(begin, frame.y[1])
    right, bottom = frame.at(end, frame.y[0])
    return (
        f'<rect class="shade" x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" '
        f'height="{bottom - top:.1f}"/>'
    )


def _axes(frame: Frame, x_unit: str, y_unit: str, *, rows: bool = True) -> list[str]:
    left, top = frame.at(frame.x[0], frame.y[1])
    right, bottom = frame.at(frame.x[1], frame.y[0])
    parts = [f'<path class="axis" d="M{left:.1f} {top:.1f}V{bottom:.1f}H{right:.1f}"/>']
    for value in _ticks(frame.x, 5):
        x, _ = frame.at(value, frame.y[0])
        text = escape(f"{value:g} {x_unit}".strip())
        parts.append(f'<text x="{x:.1f}" y="{frame.height - 5:.1f}" class="mid">{text}</text>')
    for value in _ticks(frame.y, 4) if rows else ():
        _, y = frame.at(frame.x[0], value)
        text = escape(f"{value:g} {y_unit}".strip())
        parts.append(f'<path class="grid" d="M{left:.1f} {y:.1f}H{right:.1f}"/>')
        parts.append(f'<text x="{left - 4:.1f}" y="{y + 3:.1f}" class="end">{text}</text>')
    return parts


def _ticks(ends: tuple[float, float], about: int) -> list[float]:
    """Return round numbers between two ends."""
    step = 10.0 ** math.floor(math.log10(_span(ends) / about))
    step *= next((f for f in (1, 2, 5) if _span(ends) / (step * f) <= about), 10)
    first = math.ceil(ends[0] / step)
    last = math.floor(ends[1] / step)
    return [round(number * step, 12) for number in range(first, last + 1)]


def _polyline(frame: Frame, values: Array, dt: float, colour: str, dashed: bool) -> str:
    points = " ".join(
        "{:.1f},{:.1f}".format(*frame.at(row * dt, float(values[row])))
        for row in _rows_to_draw(values)
    )
    style = ' class="dashed"' if dashed else ""
    return f'<polyline points="{points}" stroke="{colour}"{style}/>'


def _rows_to_draw(values: Array) -> list[int]:
    """Return the finite rows; of a long line the extremes of every stretch: no spike is lost."""
    rows = np.flatnonzero(np.isfinite(values))
    if len(rows) <= _MOST_POINTS:
        return [int(row) for row in rows]
    stretches = np.array_split(rows, _MOST_POINTS // 2)
    ends = {int(part[find(values[part])]) for part in stretches for find in (np.argmin, np.argmax)}
    return sorted(ends | {int(rows[0]), int(rows[-1])})
