"""What the arms are about to do, and what they have done."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np

from labvla_policy.runtime import plans
from labvla_policy.runtime.cell import Cell
from labvla_policy.runtime.monitor.marks import Colour, Mark, Shape
from labvla_policy.runtime.monitor.skeleton import Limb
from labvla_policy.runtime.types import NANOSECONDS, Array, Prediction

SOON: Colour = (0.98, 0.90, 0.25, 1.0)
LATE: Colour = (0.80, 0.20, 0.65, 1.0)
GHOST: Colour = (0.80, 0.30, 0.70, 0.22)
BODY: Colour = (0.75, 0.78, 0.82, 0.35)
TRAIL: Colour = (0.25, 0.85, 0.95, 1.0)

MOST_ROWS = 60  # of a plan that are drawn, evenly spread: the last one always
MOST_POINTS = 250  # of what was done
LINE = 0.004  # m
DOT = 0.009  # m


def drawable(plan: Prediction, cell: Cell) -> bool:
    """Whether a plan is one for this cell at all; the controller refuses others, and says so."""
    return (
        sorted(plan.joint_names) == sorted(cell.joints)
        and plan.dt > 0
        and plan.rows > 0
        and bool(np.all(np.isfinite(plan.joint_targets)))
    )


def ahead(plan: Prediction, cell: Cell, t: int) -> Array:
    """Return the rows that are still to come, in the order of cell.joints: rows x joints."""
    order = [plan.joint_names.index(joint) for joint in cell.joints]
    rows = plan.joint_targets[plans.rows_past(plan, t) :, order]
    if len(rows) > MOST_ROWS:
        rows = rows[np.linspace(0, len(rows) - 1, MOST_ROWS).round().astype(int)]
    return rows


def ghost(rows: Array, limbs: Sequence[Limb]) -> list[Mark]:
    """Return a plan: the tools' ways, coloured along time, and the posture at its end."""
    if len(rows) == 0:
        return []
    part = np.linspace(0.0, 1.0, len(rows)) if len(rows) > 1 else np.ones(1)
    colours = tuple(_between(SOON, LATE, float(p)) for p in part)
    marks = []
    for limb in limbs:
        layer, points = f"{limb.arm.name}/plan", limb.tool(rows)
        marks.append(
            Mark(layer, 0, Shape.SPHERES, LATE, (DOT, DOT, DOT), points=points, colours=colours)
        )
        if len(rows) > 1:
            marks.append(
                Mark(layer, 1, Shape.LINE, LATE, (LINE, 0, 0), points=points, colours=colours)
            )
        marks += bodies(f"{limb.arm.name}/ghost", limb, rows[-1], GHOST)
    return marks


def bodies(layer: str, limb: Limb, q: Array, colour: Colour) -> list[Mark]:
    """Return an arm as the gate sees it: capsules."""
    marks: list[Mark] = []
    ends: dict[float, list[Array]] = {}  # spheres of one radius are one mark
    for start, end, radius in limb.bodies(q):
        ends.setdefault(radius, []).extend((start, end))
        length = float(np.linalg.norm(end - start))
        size = (2 * radius, 2 * radius, length)
        pose = _along(start, end, length)
        marks.append(Mark(layer, len(marks), Shape.CYLINDER, colour, size, pose=pose))
    for radius, points in ends.items():
        size = (2 * radius, 2 * radius, 2 * radius)
        marks.append(Mark(layer, len(marks), Shape.SPHERES, colour, size, points=np.array(points)))
    return marks


class Trail:
    """Where the tools have been in the last seconds."""

    def __init__(self, limbs: Sequence[Limb], seconds: float) -> None:
        self._limbs = limbs
        self._kept = round(seconds * NANOSECONDS)
        # Far enough apart in time that all of it fits.
        self._apart = self._kept // MOST_POINTS
        self._points: deque[tuple[int, Array]] = deque()

    def add(self, t: int, q: Array) -> None:
        """Note where the arms are; a time before the last means that the clock was set."""
        if self._points and t < self._points[-1][0]:
            self._points.clear()
        if self._points and t - self._points[-1][0] < self._apart:
            return
        tools = np.concatenate([limb.tool(q[np.newaxis]) for limb in self._limbs])
        self._points.append((t, tools))
        self.forget(t)

    def forget(self, t: int) -> None:
        """Drop what is too long ago."""
        while self._points and t - self._points[0][0] > self._kept:
            self._points.popleft()

    def marks(self) -> Iterator[Mark]:
        """Return one line for every arm, the fainter the longer ago."""
        if len(self._points) < 2:
            return
        newest = self._points[-1][0]
        left = [1.0 - (newest - t) / self._kept for t, _ in self._points]
        colours = tuple((*TRAIL[:3], max(0.05, part)) for part in left)
        for number, limb in enumerate(self._limbs):
            points = np.array([tools[number] for _, tools in self._points])
            layer = f"{limb.arm.name}/done"
            yield Mark(layer, 0, Shape.LINE, TRAIL, (LINE, 0, 0), points=points, colours=colours)


def _between(first: Colour, second: Colour, part: float) -> Colour:
    r, g, b, a = ((1 - part) * x + part * y for x, y in zip(first, second, strict=True))
    return r, g, b, a


def _along(start: Array, end: Array, length: float) -> Array:
    """Return a frame half-way between two points whose z axis leads from one to the other."""
    pose = np.eye(4)
    pose[:3, 3] = (start + end) / 2
    if length < 1e-9:
        return pose
    z = (end - start) / length
    aside = np.eye(3)[int(np.argmin(np.abs(z)))]
    x = np.cross(aside, z)
    x /= np.linalg.norm(x)
    pose[:3, :3] = np.column_stack([x, np.cross(z, x), z])
    return pose
