"""The loss ledger of an episode: for every topic what came, what was written, what is missing.

For every topic, arrived = written + lost_writer when the episode is over. What never arrived is
lost_transport or lost_source.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from labvla_data.recording.audit import Before
from labvla_data.recording.streams import Stream
from labvla_policy.runtime.types import NANOSECONDS

# A stream that is silent at either end of an episode for longer than this has lost something.
PATIENCE = NANOSECONDS // 4
_PERIODS = 3


@dataclass(frozen=True)
class Entry:
    """What one topic lost during an episode, and why."""

    topic: str
    kind: str
    arrived: int
    written: int
    lost_transport: int
    lost_source: int
    lost_writer: int
    rate: float | None  # Hz, measured over the episode
    nominal_rate: float | None
    largest_gap: float  # s between two arrivals
    first_stamp: int | None  # ns
    last_stamp: int | None
    clock_jumps: int = 0
    backwards: int = 0  # stamps that were not newer than the one before

    @property
    def lost(self) -> int:
        """All that is missing."""
        return self.lost_transport + self.lost_source + self.lost_writer


@dataclass
class Tally:
    """Counts one topic. Everything but `written` belongs to the thread that receives."""

    stream: Stream
    arrived: int = 0
    transport: int = 0
    source: int = 0
    dropped: int = 0
    jumps: int = 0
    backwards: int = 0
    first_arrival: int = 0
    last_arrival: int = 0
    largest_gap: int = 0
    first_stamp: int | None = None
    last_stamp: int | None = None
    written: int = 0

    def count(self, arrival: int, stamp: int | None, before: Before) -> None:
        """Count a message; what was lost before the first one is not this episode's."""
        if self.arrived:
            self.transport += before.transport
            self.source += before.source
            self.jumps += before.jumped
            self.backwards += before.backwards
            self.largest_gap = max(self.largest_gap, arrival - self.last_arrival)
        else:
            self.first_arrival = arrival
            self.first_stamp = stamp
        self.arrived += 1
        self.last_arrival = arrival
        if stamp is not None:
            self.last_stamp = stamp

    def entry(self, lost_writer: int, silent: int = 0) -> Entry:
        """Return what is known now."""
        elapsed = self.last_arrival - self.first_arrival
        return Entry(
            topic=self.stream.topic,
            kind=self.stream.kind,
            arrived=self.arrived,
            written=self.written,
            lost_transport=self.transport,
            lost_source=self.source + silent,
            lost_writer=lost_writer,
            rate=round((self.arrived - 1) * NANOSECONDS / elapsed, 3) if elapsed > 0 else None,
            nominal_rate=self.stream.rate,
            largest_gap=self.largest_gap / NANOSECONDS,
            first_stamp=self.first_stamp,
            last_stamp=self.last_stamp,
            clock_jumps=self.jumps,
            backwards=self.backwards,
        )

    def silent(self, begin: int, end: int) -> int:
        """Return how many messages are missing before the first and after the last one."""
        if self.stream.rate is None:
            return 0
        period = NANOSECONDS / self.stream.rate
        if not self.arrived:
            return round((end - begin) / period)
        patience = max(PATIENCE, _PERIODS * period)
        ends = (self.first_arrival - begin, end - self.last_arrival)
        return sum(round(gap / period) for gap in ends if gap > patience)


@dataclass
class Ledger:
    """The tallies of an episode, one a stream."""

    streams: Sequence[Stream]
    begin: int  # ns, when the episode began, on the clock of the arrivals
    tallies: list[Tally] = field(init=False)

    def __post_init__(self) -> None:
        self.tallies = [Tally(stream) for stream in self.streams]

    def now(self) -> tuple[Entry, ...]:
        """Return the entries while the episode runs: what waits to be written is not lost."""
        return tuple(tally.entry(tally.dropped) for tally in self.tallies)

    def closed(self, end: int) -> tuple[Entry, ...]:
        """Return the entries of an episode that ended at a time: what is not written is lost."""
        return tuple(
            tally.entry(tally.arrived - tally.written, tally.silent(self.begin, end))
            for tally in self.tallies
        )


def as_json(entries: Sequence[Entry]) -> dict[str, dict[str, Any]]:
    """Return entries by topic, as episode.json holds them."""
    values = (asdict(entry) for entry in entries)
    return {value.pop("topic"): value for value in values}
