"""Chunk streams as a policy over a network makes them: late, irregular and in disagreement."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from benchmarks.control.arm import Arm
from benchmarks.control.arrays import Bools, Floats, Indices
from benchmarks.control.motions import Motion, make_motion

# A policy that looks ten times a second, also while earlier inferences are on their way: otherwise
# nothing could be reordered.
OBSERVATION_PERIOD = 0.1

# Long enough for the slowest method to come to rest after its last row.
AFTERMATH = 2.5

# How far two chunks of one policy disagree changes over about this time.
DISAGREEMENT_FREQUENCY = 0.4


@dataclass(frozen=True)
class Network:
    """What happens between an observation and the arrival of its chunk, besides the delay."""

    jitter: float  # mean of the exponentially distributed excess, as a share of the delay
    jitter_floor: float  # [s] added to that mean
    drops: float  # share of chunks that never arrive
    detours: float  # share of chunks that arrive `detour` late, mostly after their successor
    detour: float


NETWORKS = {
    "clean": Network(0.0, 0.0, 0.0, 0.0, 0.0),
    "rough": Network(0.15, 0.005, 0.10, 0.05, 0.15),
}


@dataclass(frozen=True)
class Scenario:
    """Everything that decides a stream."""

    motion: str
    disagreement: float  # [rad] standard deviation between chunks, smooth within a chunk
    row_noise: float  # [rad] standard deviation, independent for every row
    rows: int
    delay: float  # [s] from observation to arrival
    network: str
    seed: int
    duration: float = 8.0  # [s] until the producer is killed


@dataclass(frozen=True)
class Delivery:
    """One chunk; row k is the target at `start + k * row_period`."""

    sequence: int
    arrival: float
    observed: float
    start: float
    rows: Floats

    def row_times(self, row_period: float) -> Floats:
        """Return the instants that the rows are meant for."""
        return self.start + row_period * np.arange(len(self.rows))


@dataclass(frozen=True)
class Stream:
    """Deliveries in the order of arrival; the motion that the policy has in mind."""

    scenario: Scenario
    arm: Arm
    motion: Motion
    deliveries: tuple[Delivery, ...]

    @property
    def cycles(self) -> int:
        """Return the number of control cycles."""
        return round((self.scenario.duration + AFTERMATH) / self.arm.period)

    @cached_property
    def times(self) -> Floats:
        """Instant of every sample: cycle i commands where the robot shall be at (i + 1) periods."""
        times: Floats = self.arm.period * np.arange(1, self.cycles + 1)
        return times

    @cached_property
    def pickups(self) -> Indices:
        """First cycle that knows each delivery."""
        arrivals = np.array([d.arrival for d in self.deliveries])
        return np.ceil(arrivals / self.arm.period - 1e-9).astype(np.int64)

    @property
    def last_arrival(self) -> float:
        """Return when the producer was heard for the last time."""
        return self.deliveries[-1].arrival

    @cached_property
    def usable(self) -> Bools:
        """Which deliveries are newer than all before them and still have a row ahead."""
        newest = -1
        usable = []
        for delivery in self.deliveries:
            ahead = delivery.row_times(self.arm.row_period)[-1] > delivery.arrival
            usable.append(delivery.sequence > newest and ahead)
            newest = max(newest, delivery.sequence)
        return np.array(usable, dtype=bool)

    @property
    def start(self) -> Floats:
        """Return where the arm stands at the beginning."""
        start: Floats = self.motion(np.zeros(1))[0]
        return start


def make_stream(scenario: Scenario, arm: Arm) -> Stream:
    """Draw a stream; equal scenarios give equal streams, and the delay alone changes no row."""
    motion = make_motion(scenario.motion, arm, scenario.duration + AFTERMATH, scenario.seed)
    content = np.random.default_rng([scenario.seed, 1])
    transport = np.random.default_rng([scenario.seed, 2])
    network = NETWORKS[scenario.network]
    deliveries = []
    for sequence in range(round(scenario.duration / OBSERVATION_PERIOD)):
        observed = sequence * OBSERVATION_PERIOD
        start = observed + arm.row_offset * arm.row_period
        after = start - observed + arm.row_period * np.arange(scenario.rows)
        rows = motion(observed + after)
        rows = rows + scenario.disagreement * _smooth(content, after, len(arm.joints))
        rows = rows + scenario.row_noise * content.standard_normal(rows.shape)
        mean_excess = network.jitter * scenario.delay + network.jitter_floor
        excess = transport.exponential() * mean_excess
        dropped, detoured = transport.random(2) < (network.drops, network.detours)
        arrival = observed + scenario.delay + excess + network.detour * detoured
        if arrival < scenario.duration and (sequence == 0 or not dropped):
            deliveries.append(Delivery(sequence, arrival, observed, start, rows))
    deliveries.sort(key=lambda d: d.arrival)
    return Stream(scenario, arm, motion, tuple(deliveries))


def _smooth(rng: np.random.Generator, after: Floats, joints: int) -> Floats:
    """Return a random curve per joint, of unit variance everywhere and correlated along rows."""
    cosine, sine = rng.standard_normal((2, joints))
    phase = 2 * np.pi * DISAGREEMENT_FREQUENCY * after[:, None]
    curve: Floats = np.cos(phase) * cosine + np.sin(phase) * sine
    return curve
