"""Models of ros2_controllers' joint_trajectory_controller on a position interface.

What is modelled (docs/benchmarks.md says how it was checked against the real one): a new message
replaces the old trajectory at once; up to its first point the reference is interpolated from the
last commanded state; the rest is linear, or cubic where velocities are given; the last point is
held; nothing is limited.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from benchmarks.control.arrays import Floats, hermite, linear, spline_velocities
from benchmarks.control.methods.base import Outcome
from benchmarks.control.streams import Delivery, Stream


@dataclass(frozen=True)
class Message:
    """A trajectory message and the cycle that picks it up.

    `stamp` None: zero, the trajectory starts when it is picked up. `velocities` None: positions
    only. `continue_velocity`: the controller solves for the velocities itself, beginning with the
    commanded one (`positions_upsampling` with cross-chunk continuity).
    """

    pickup: int
    stamp: float | None
    times_from_start: Floats
    positions: Floats
    velocities: Floats | None = None
    continue_velocity: bool = False


@dataclass(frozen=True)
class Played:
    """What the controller reports as its reference, and what it commands: one period ahead."""

    references: Floats
    commands: Floats


def play(messages: Iterable[Message], start: Floats, updates: Floats, period: float) -> Played:
    """Run the controller at the instants `updates`, at rest in `start` before the first."""
    queue = [message for message in messages if message.pickup < len(updates)]
    references = np.tile(start, (len(updates), 1))
    commands = references.copy()
    velocity = np.zeros_like(start)
    ends = [message.pickup for message in queue[1:]] + [len(updates)]
    for message, end in zip(queue, ends, strict=True):
        first = message.pickup
        if first == end:
            continue
        # The last command was meant for one period later, but is remembered with the time of the
        # update that made it: the first segment begins that much too early.
        known_since = updates[first - 1] if first else updates[0] - period
        here = commands[first - 1] if first else start
        curve = _curve(message, updates[first], known_since, here, velocity)
        references[first:end] = curve.positions(updates[first:end])
        commands[first:end] = curve.positions(updates[first:end] + period)
        velocity = curve.velocity(updates[end - 1] + period)
    return Played(references, commands)


@dataclass(frozen=True)
class _Curve:
    knots: Floats
    values: Floats
    slopes: Floats | None

    def positions(self, at: Floats) -> Floats:
        inside = np.clip(at, self.knots[0], self.knots[-1])
        if self.slopes is None or len(self.knots) == 1:
            return linear(self.knots, self.values, inside)
        return hermite(self.knots, self.values, self.slopes, inside)

    def velocity(self, at: float) -> Floats:
        """Return the velocity at an instant, zero after the last point."""
        step = 1e-7
        if at + step >= self.knots[-1]:
            return np.zeros_like(self.values[0])
        before, after = self.positions(np.array([at - step, at + step]))
        difference: Floats = (after - before) / (2 * step)
        return difference


def _curve(
    message: Message, now: float, known_since: float, here: Floats, velocity: Floats
) -> _Curve:
    """Return the trajectory of a message, with the commanded state put before it."""
    times = message.times_from_start + (now if message.stamp is None else message.stamp)
    if times[0] <= now:  # the past-stamp trap: straight into the middle of the new trajectory
        return _Curve(times, message.positions, message.velocities)
    if message.continue_velocity:
        # Here the message is changed before it is picked up, so the commanded state is its first
        # point, at time zero.
        knots = np.concatenate([[now], times])
        values = np.concatenate([here[None], message.positions])
        return _Curve(
            knots, values, spline_velocities(knots, values, velocity, np.zeros_like(velocity))
        )
    knots = np.concatenate([[known_since], times])
    values = np.concatenate([here[None], message.positions])
    if message.velocities is None:
        return _Curve(knots, values, None)
    return _Curve(knots, values, np.concatenate([velocity[None], message.velocities]))


@dataclass(frozen=True)
class Jtc:
    """JTC behind one of two senders.

    `restart` sends every chunk whole with a zero stamp, so that it starts when it is picked up, one
    row period before its first row. A number of rows is a sender that knows the time of pick-up
    exactly and leaves out all rows less than that many row periods ahead.
    """

    kind: Literal["jtc_replace", "jtc_continuity"]
    lead_rows: int | None

    @property
    def name(self) -> str:
        """Family of the method."""
        return self.kind if self.lead_rows is None else f"{self.kind}_trimmed"

    @property
    def setting(self) -> str:
        """Return the lead."""
        return "" if self.lead_rows is None else f"lead {self.lead_rows}"

    def run(self, stream: Stream) -> Outcome:
        """Play the stream."""
        # A zero-stamp sender has no means to tell a stale chunk; the trimming one is spared them.
        taken = np.ones(len(stream.deliveries), dtype=bool)
        if self.lead_rows is not None:
            taken = stream.usable
        messages = [
            self._message(stream, delivery, pickup)
            for delivery, pickup, take in zip(
                stream.deliveries, stream.pickups.tolist(), taken, strict=True
            )
            if take
        ]
        updates = stream.times - stream.arm.period
        return Outcome(play(messages, stream.start, updates, stream.arm.period).commands, taken)

    def _message(self, stream: Stream, delivery: Delivery, pickup: int) -> Message:
        row_period = stream.arm.row_period
        if self.lead_rows is None:
            times = row_period * np.arange(1, len(delivery.rows) + 1)
            keep = np.ones(len(times), dtype=bool)
        else:
            times = delivery.row_times(row_period) - pickup * stream.arm.period
            keep = times >= self.lead_rows * row_period - 1e-9
            keep[-1] = True
        if self.kind == "jtc_continuity":
            return Message(pickup, None, times[keep], delivery.rows[keep], continue_velocity=True)
        at_rest = np.zeros(delivery.rows.shape[1])
        velocities = spline_velocities(times, delivery.rows, end=at_rest)
        return Message(pickup, None, times[keep], delivery.rows[keep], velocities[keep])
