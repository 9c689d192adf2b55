"""The motion of a jog as rows: as far as the device's wish is valid, and then to a stop.

Every piece contains its own stop. Whoever dies on the way from the device to the controller, the
arms come to rest along a path that was checked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from labvla_policy.runtime.gate.rules import Limits
from labvla_policy.runtime.reference import Reference
from labvla_policy.runtime.types import NANOSECONDS, Array, Prediction


@dataclass(frozen=True)
class MotionSettings:
    """How rows are made."""

    dt: float = 0.02  # s between rows
    lead: float = 0.04  # s that a piece needs to the controller: until then it repeats the last one
    share: float = 0.75  # of the operating limits
    response: float = 0.06  # s in which the joints follow the wish; bounds the jerk at the limits
    rest: float = 5e-4  # rad/s, standing
    after: int = 10  # rows at the end of a piece that hold: longer than a piece is on its way
    longest: float = 3.0  # s; a stop from full speed takes well under one


@dataclass(frozen=True, eq=False)
class Piece:
    """A stretch of motion from a moment to rest."""

    begin: int  # ns, of row 0
    positions: Array  # rows x joints
    velocities: Array
    accelerations: Array


class JogMotion:
    """The motion that was sent last, and what continues it."""

    def __init__(
        self, names: tuple[str, ...], limits: Limits, settings: MotionSettings | None = None
    ) -> None:
        self._names, self._settings = names, settings or MotionSettings()
        self._step = round(self._settings.dt * NANOSECONDS)
        self._acceleration = self._settings.share * limits.acceleration
        self._jerk = self._settings.share * limits.jerk
        self._last: Piece | None = None

    def moving(self, t: int) -> bool:
        """Whether what was sent is still under way."""
        return self._last is not None and t < self._end(self._last)

    def planned(self, t: int) -> Array | None:
        """Return where the arms should be; None where nothing was sent for that moment."""
        last = self._last
        if last is None or not last.begin <= t <= self._end(last):
            return None
        at = (t - last.begin) / self._step
        rows = np.arange(len(last.positions))
        return np.array([np.interp(at, rows, column) for column in last.positions.T])

    def forget(self) -> None:
        """Continue from what the controller says, not from what was sent."""
        self._last = None

    def continued(
        self, t: int, reference: Reference, until: int, wish: Callable[[Array], Array]
    ) -> Piece:
        """Return how the motion goes on: by a wish (velocities at positions) until a time."""
        rows = list(self._committed(t, reference))
        begin = self._begin(t)
        q, v, a = rows[-1]
        most = round(self._settings.longest / self._settings.dt)
        standing = 0
        while standing < self._settings.after and len(rows) < most:
            wished = begin + len(rows) * self._step <= until
            q, v, a = self._next(q, v, a, wish(q) if wished else np.zeros_like(q))
            rows.append((q, v, a))
            standing = 0 if wished or np.any(np.abs(v) > self._settings.rest) else standing + 1
        q_rows, v_rows, a_rows = (np.array(column) for column in zip(*rows, strict=True))
        return Piece(begin, q_rows, v_rows, a_rows)

    def sent(self, piece: Piece) -> None:
        """Note what the controller has been given."""
        self._last = piece

    def plan(self, piece: Piece, openings: Mapping[str, float]) -> Prediction:
        """Return a piece as a plan; grippers that nobody has moved yet are left out."""
        rows = len(piece.positions)
        return Prediction(
            plan_start=piece.begin,
            dt=self._settings.dt,
            joint_names=self._names,
            joint_targets=piece.positions,
            gripper_names=tuple(openings),
            gripper_targets=np.tile(np.array(list(openings.values())), (rows, 1)),
        )

    def _end(self, piece: Piece) -> int:
        return piece.begin + (len(piece.positions) - 1) * self._step

    def _begin(self, t: int) -> int:
        """Return the time of the first row: on the grid of the piece that is continued."""
        last = self._last
        if last is None or not self.moving(t):
            return t
        return last.begin + max(0, (t - last.begin) // self._step) * self._step

    def _committed(self, t: int, reference: Reference) -> list[tuple[Array, Array, Array]]:
        last = self._last
        if last is None or not self.moving(t):
            ahead = (t - reference.stamp) / NANOSECONDS
            start = reference.positions + ahead * reference.velocities
            return [(start, reference.velocities.copy(), np.zeros_like(start))]
        first = (self._begin(t) - last.begin) // self._step
        rows = 2 + round(self._settings.lead / self._settings.dt)
        kept = slice(first, first + rows)
        return list(
            zip(last.positions[kept], last.velocities[kept], last.accelerations[kept], strict=True)
        )

    def _next(self, q: Array, v: Array, a: Array, wanted: Array) -> tuple[Array, Array, Array]:
        """Follow a velocity within acceleration and jerk."""
        dt = self._settings.dt
        asked = np.clip(
            (wanted - v) / self._settings.response, -self._acceleration, self._acceleration
        )
        a = a + np.clip(asked - a, -self._jerk * dt, self._jerk * dt)
        after = v + a * dt
        return q + (v + after) / 2 * dt, after, a
