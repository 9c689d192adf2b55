"""Methods that look at one set-point at a time: linear interpolation, low-pass, Ruckig."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import ruckig

from benchmarks.control.arrays import Floats, Indices, linear, spline_velocities
from benchmarks.control.methods.base import Outcome
from benchmarks.control.streams import Delivery, Stream


def newest_chunks(stream: Stream) -> Iterator[tuple[Delivery, slice]]:
    """Yield each usable delivery with the cycles in which it is the newest one."""
    usable = np.flatnonzero(stream.usable)
    begins = stream.pickups[usable].tolist()
    for index, begin, end in zip(usable, begins, [*begins[1:], stream.cycles], strict=True):
        if begin < end:
            yield stream.deliveries[index], slice(begin, end)


@dataclass(frozen=True)
class LinearReplace:
    """Straight lines between the rows of the newest chunk, its last row for ever."""

    name: str = "linear_replace"
    setting: str = ""

    def run(self, stream: Stream) -> Outcome:
        """Play the stream."""
        positions = np.tile(stream.start, (stream.cycles, 1))
        for delivery, cycles in newest_chunks(stream):
            times, rows = delivery.row_times(stream.arm.row_period), delivery.rows
            now = cycles.start * stream.arm.period
            if times[0] > now:
                here = positions[cycles.start - 1] if cycles.start else stream.start
                times, rows = np.concatenate([[now], times]), np.concatenate([here[None], rows])
            positions[cycles] = linear(times, rows, stream.times[cycles])
            positions[cycles.stop :] = positions[cycles.stop - 1]
        return Outcome(positions, stream.usable)


@dataclass(frozen=True)
class Ema:
    """Exponential low-pass per control cycle over the row that is due, as CRISP filters poses."""

    share: float  # of the remaining distance covered in a cycle

    name = "ema"

    @property
    def setting(self) -> str:
        """Return the share."""
        return f"alpha {self.share:g}"

    def run(self, stream: Stream) -> Outcome:
        """Play the stream."""
        targets = np.tile(stream.start, (stream.cycles, 1))
        for delivery, cycles in newest_chunks(stream):
            row = _row_due(delivery, stream.times[cycles], stream.arm.row_period)
            before = targets[cycles.start - 1] if cycles.start else stream.start
            targets[cycles] = np.where((row >= 0)[:, None], delivery.rows[row], before)
            targets[cycles.stop :] = targets[cycles.stop - 1]
        here = stream.start.copy()
        positions = np.empty_like(targets)
        for cycle, target in enumerate(targets):
            here += self.share * (target - here)
            positions[cycle] = here
        return Outcome(positions, stream.usable)


@dataclass(frozen=True)
class Ruckig:
    """A time-optimal jerk-limited motion to one row after the other, with the operating limits.

    `rest` aims at a row to stand still there. `rows` passes it with the velocity of the chunk's
    spline, and not before its time. Both aim at the row that lies `ahead` rows after the one due.
    """

    aim: Literal["rest", "rows"]
    ahead: int

    @property
    def name(self) -> str:
        """Family of the method."""
        return f"ruckig_{self.aim}"

    @property
    def setting(self) -> str:
        """Return how far ahead it aims."""
        return f"ahead {self.ahead}"

    def run(self, stream: Stream) -> Outcome:
        """Play the stream."""
        arm = stream.arm
        joints = len(arm.joints)
        generator = ruckig.Ruckig(joints, arm.period)
        given, taken = ruckig.InputParameter(joints), ruckig.OutputParameter(joints)
        given.max_velocity, given.max_acceleration = arm.velocity, arm.acceleration
        given.max_jerk = arm.jerk
        given.current_position = given.target_position = stream.start
        if self.aim == "rest":  # each joint as fast as it can: less lag than in step
            given.synchronization = ruckig.Synchronization.No
        positions = np.tile(stream.start, (stream.cycles, 1))
        for delivery, cycles in newest_chunks(stream):
            times = delivery.row_times(arm.row_period)
            velocities = spline_velocities(times, delivery.rows, end=np.zeros(joints))
            velocities = np.clip(velocities, -arm.velocity, arm.velocity)
            row = _row_due(delivery, stream.times[cycles] - arm.period, arm.row_period)
            row = np.minimum(row + self.ahead, len(times) - 1)
            aimed = -1
            for cycle, index in zip(range(cycles.start, cycles.stop), row.tolist(), strict=True):
                if index != aimed and index >= 0:
                    aimed = index
                    given.target_position = delivery.rows[index]
                    if self.aim == "rows":
                        given.target_velocity = velocities[index]
                        given.minimum_duration = max(times[index] - cycle * arm.period, arm.period)
                result = generator.update(given, taken)
                if result not in (ruckig.Result.Working, ruckig.Result.Finished):
                    raise RuntimeError(f"Ruckig gave up in cycle {cycle}: {result}")
                positions[cycle] = taken.new_position
                taken.pass_to_input(given)
            positions[cycles.stop :] = positions[cycles.stop - 1]
        return Outcome(positions, stream.usable)


def _row_due(delivery: Delivery, times: Floats, row_period: float) -> Indices:
    """Return the index of the newest row whose time has come, -1 before the first."""
    row = np.floor((times - delivery.start) / row_period + 1e-9).astype(np.int64)
    due: Indices = np.clip(row, -1, len(delivery.rows) - 1)
    return due
