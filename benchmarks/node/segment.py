"""One node at work for a while, and the figures of that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.common.usage import Usage
from benchmarks.node.process import Times


@dataclass(frozen=True)
class Window:
    """What a node and its engine's process used between two instants, on the monotonic clock."""

    begin: int  # ns
    end: int
    node: tuple[Usage, Usage]
    engine: tuple[Usage, Usage] | None = None

    @property
    def seconds(self) -> float:
        """How long it was."""
        return (self.end - self.begin) * 1e-9

    @property
    def cpu(self) -> float:
        """Processor seconds per second, the engine's process included."""
        return self.cpu_of(self.node) + (self.cpu_of(self.engine) if self.engine else 0.0)

    def cpu_of(self, pair: tuple[Usage, Usage]) -> float:
        """Processor seconds per second of one process."""
        return (pair[1].cpu - pair[0].cpu) / self.seconds


@dataclass(frozen=True)
class Latencies:
    """From the newest message used to the engine, and from the engine to the controller."""

    before: np.ndarray  # s, by question
    after: np.ndarray  # s, by plan that arrived
    questions: int
    arrived: int


def latencies(
    asked: Times,
    arrivals: Times,
    sent: Mapping[str, Times],
    joints: str,
    cameras: list[str],
    window: Window,
) -> Latencies:
    """Put the records of engine, stand-in and sender together.

    `asked` has rows (state's stamp, newest picture's stamp, in, out), `arrivals` rows (state's
    stamp, time), `sent` rows (stamp, time) per topic; stamps and times in ns.
    """
    within = asked[(asked[:, 2] >= window.begin) & (asked[:, 2] <= window.end)]
    pictures: dict[int, int] = {}
    for topic in cameras:
        for stamp, at in sent[topic].tolist():
            pictures[stamp] = max(at, pictures.get(stamp, at))
    states = dict(sent[joints].tolist())
    before = [
        begin - max(pictures[newest], states[state]) for state, newest, begin, _ in within.tolist()
    ]
    arrived = dict(arrivals.tolist())
    after = [arrived[state] - out for state, _, _, out in within.tolist() if state in arrived]
    return Latencies(np.array(before) * 1e-9, np.array(after) * 1e-9, len(within), len(after))


@dataclass(frozen=True)
class Account:
    """What became of one stream's messages between two instants."""

    sent: int
    received: int
    counted_lost: int

    @property
    def unexplained(self) -> int:
        """Messages that neither came nor are counted as lost."""
        return self.sent - self.received - self.counted_lost


@dataclass(frozen=True)
class Received:
    """What a receiver has counted, up to the newest message."""

    newest: int  # ns, stamp
    received: int
    lost: int


def account(sent: Times, before: Received, after: Received) -> Account:
    """Compare a receiver's counts with what was sent between its newest messages then and now."""
    stamps = sent[:, 0]
    between = int(
        np.sum((stamps > before.newest + _ROUNDING) & (stamps <= after.newest + _ROUNDING))
    )
    return Account(between, after.received - before.received, after.lost - before.lost)


_ROUNDING = 1000  # ns: ages travel as seconds in a double
