"""Where the arms were told to be, or where they went, at any moment of an episode.

Positions are rad in the order of the cell's joints, openings metres in the order of its arms.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from labvla_policy.runtime.types import NANOSECONDS, Array

ActionSource = Literal["commanded", "executed"]
ACTIONS: tuple[ActionSource, ...] = ("commanded", "executed")

_LONGEST_GAP = NANOSECONDS // 5  # between two states: what was in between is not known
_HOLD = NANOSECONDS // 4  # the last row of a plan stays in force for as long, as in the controller


@dataclass(frozen=True, eq=False)
class Target:
    """Where the arms shall be."""

    positions: Array
    openings: Array


class Commands(Protocol):
    """A source of actions."""

    @property
    def name(self) -> str:
        """What it is made from."""

    @property
    def end(self) -> int:
        """The last moment that it knows (ns)."""

    def at(self, t: int) -> Target | None:
        """Return the target of a moment; None where it is not known."""


@dataclass(frozen=True, eq=False)
class Track:
    """Samples of positions and openings over time: a reference, or a measurement."""

    name: str
    stamps: NDArray[np.int64]
    positions: Array
    openings: Array  # NaN: not known at that sample

    @property
    def end(self) -> int:
        """The last sample's time."""
        return int(self.stamps[-1])

    def at(self, t: int) -> Target | None:
        """Return positions between the two samples around t, openings of the one before."""
        after = int(np.searchsorted(self.stamps, t, side="left"))
        if after < len(self.stamps) and self.stamps[after] == t:
            return Target(self.positions[after], self.openings[after])
        if not 0 < after < len(self.stamps):
            return None
        begin, end = int(self.stamps[after - 1]), int(self.stamps[after])
        if end - begin > _LONGEST_GAP:
            return None
        share = (t - begin) / (end - begin)
        before, behind = self.positions[after - 1], self.positions[after]
        return Target(before + share * (behind - before), self.openings[after - 1])


@dataclass(frozen=True, eq=False)
class Plan:
    """A chunk as it was in force."""

    since: int  # ns
    start: int  # ns, of row 0
    dt: float  # s
    positions: Array
    openings: Array

    def at(self, t: int) -> Target | None:
        """Return what the plan says for a moment; its last row holds for a while."""
        row = (t - self.start) / NANOSECONDS / self.dt
        last = len(self.positions) - 1
        if t > self.start + round(last * self.dt * NANOSECONDS) + _HOLD:
            return None
        row = min(max(row, 0.0), float(last))
        low = min(int(row), last)
        high, share = min(low + 1, last), row - low
        position = self.positions[low] * (1 - share) + self.positions[high] * share
        opening = self.openings[low] * (1 - share) + self.openings[high] * share
        return Target(position, opening)


class Plans:
    """The chunks of an episode: at any moment the newest one that was there."""

    name = "action_chunk"

    def __init__(self, plans: Sequence[Plan]) -> None:
        self._plans = sorted(plans, key=lambda plan: plan.since)
        self._since = [plan.since for plan in self._plans]

    @property
    def end(self) -> int:
        """The last moment for which any plan has a row."""
        return max(
            plan.start + round((len(plan.positions) - 1) * plan.dt * NANOSECONDS)
            for plan in self._plans
        )

    def at(self, t: int) -> Target | None:
        """Return what was in force."""
        index = bisect_right(self._since, t) - 1
        return self._plans[index].at(t) if index >= 0 else None


def plan_of(message: dict[str, Any], joints: Sequence[str], grippers: Sequence[str]) -> Plan:
    """Return a recorded ActionChunk."""
    rows = int(message["rows"])
    positions = _ordered(message["joint_targets"], rows, message["joint_names"], joints)
    openings = _ordered(message["gripper_targets"], rows, message["gripper_names"], grippers)
    seen = stamp_of(message["observation_stamp"])
    latency = float(message["inference_latency"])
    return Plan(
        since=seen + round(latency * NANOSECONDS),
        start=stamp_of(message["plan_start"]),
        dt=float(message["dt"]),
        positions=positions,
        openings=openings,
    )


def _ordered(flat: Any, rows: int, names: Sequence[str], wanted: Sequence[str]) -> Array:
    """Return rows x wanted columns; a column that is not there is NaN."""
    table = np.asarray(flat, dtype=np.float64).reshape(rows, -1)
    result = np.full((rows, len(wanted)), np.nan)
    for column, name in enumerate(wanted):
        if name in names:
            result[:, column] = table[:, list(names).index(name)]
    return result


def ordered_row(flat: Any, names: Sequence[str], wanted: Sequence[str]) -> Array:
    """Return one row in the wanted order; what is not there is NaN."""
    return np.asarray(_ordered(flat, 1, names, wanted)[0])


def stamp_of(time: dict[str, int]) -> int:
    """Return a builtin_interfaces/Time in ns."""
    return int(time["sec"]) * NANOSECONDS + int(time["nanosec"])
