"""Shares of success with their intervals, as SVG: by condition, and along a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from labvla_data.view.svg import COLOURS, legend, picture

_LABEL, _ROW, _RIGHT = 120.0, 26.0, 76.0
_TOP, _BOTTOM = 6.0, 20.0
_TICKS = (0, 25, 50, 75, 100)


@dataclass(frozen=True)
class Share:
    """Successes of n, with the interval of their share."""

    name: str
    success: int
    n: int
    low: float
    high: float

    @property
    def rate(self) -> float:
        """The share."""
        return self.success / self.n


def bars(shares: Sequence[Share], colour: str = COLOURS[0], width: float = 560.0) -> str:
    """Return a dot with its interval for each share."""
    height = _TOP + _ROW * len(shares) + _BOTTOM
    span = width - _LABEL - _RIGHT
    parts = []
    for tick in _TICKS:
        x = _LABEL + span * tick / 100
        parts.append(f'<path class="grid" d="M{x:.1f} {_TOP}V{height - _BOTTOM:.1f}"/>')
        parts.append(f'<text x="{x:.1f}" y="{height - 6:.1f}" class="mid">{tick} %</text>')
    for number, share in enumerate(shares):
        y = _TOP + _ROW * (number + 0.5)
        left, middle, right = (_LABEL + span * v for v in (share.low, share.rate, share.high))
        parts.append(
            f'<text x="{_LABEL - 10}" y="{y + 4:.1f}" class="end name">{escape(share.name)}</text>'
            f'<path stroke="{colour}" stroke-width="5" opacity=".35" '
            f'd="M{left:.1f} {y:.1f}H{right:.1f}"/>'
            f'<circle cx="{middle:.1f}" cy="{y:.1f}" r="4.5" fill="{colour}"/>'
            f'<text x="{width - _RIGHT + 12}" y="{y + 4:.1f}" class="name">'
            f"{share.success}/{share.n}</text>"
        )
    return picture(width, height, parts)


def line(points: Sequence[Sequence[Share]], names: Sequence[str], width: float = 560.0) -> str:
    """Return lines of shares: one for each name, with a point for each place of the sweep."""
    height, left, right, bottom = 220.0, 44.0, 20.0, 46.0
    places = [share.name for share in points[0]]
    step = (width - left - right) / max(len(places), 1)

    def at(place: int, rate: float) -> tuple[float, float]:
        return left + step * (place + 0.5), _TOP + 4 + (1 - rate) * (height - bottom - _TOP - 4)

    parts = []
    for tick in _TICKS:
        y = at(0, tick / 100)[1]
        parts.append(f'<path class="grid" d="M{left} {y:.1f}H{width - right:.1f}"/>')
        parts.append(f'<text x="{left - 6}" y="{y + 3:.1f}" class="end">{tick} %</text>')
    for place, name in enumerate(places):
        x, _ = at(place, 0)
        for row, piece in enumerate(name.split(", ")):
            y = height - bottom + 16 + 12 * row
            parts.append(f'<text x="{x:.1f}" y="{y:.1f}" class="mid">{escape(piece)}</text>')
    for number, shares in enumerate(points):
        colour = COLOURS[number % len(COLOURS)]
        shift = 7.0 * (number - (len(points) - 1) / 2)  # intervals side by side can be told apart
        spots = [(x + shift, y) for x, y in (at(k, s.rate) for k, s in enumerate(shares))]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
        parts.append(f'<polyline points="{path}" stroke="{colour}"/>')
        for (x, y), place, share in zip(spots, range(len(shares)), shares, strict=True):
            low, high = at(place, share.low)[1], at(place, share.high)[1]
            parts.append(
                f'<path stroke="{colour}" stroke-width="3" opacity=".4" '
                f'd="M{x:.1f} {low:.1f}V{high:.1f}"/>'
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>'
            )
    return picture(width, height, parts) + legend(names)
