"""Where messages wait for the writer: a pre-roll ring before an episode, a bounded queue during it.

Memory is bounded in bytes, since a picture weighs as much as ten thousand joint states.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import NamedTuple

from labvla_data.recording.audit import Before
from labvla_data.recording.ledger import Ledger
from labvla_data.recording.streams import Stream
from labvla_policy.runtime.types import NANOSECONDS

# Pictures may fill the memory up to here; the rest is for states and chunks, which cost nothing.
_SHARE_OF_LARGE = 0.9


class Item(NamedTuple):
    """A message on its way into a bag."""

    stream: int  # index
    data: bytes
    arrival: int  # ns
    published: int  # ns
    number: int  # of the sender
    stamp: int | None
    before: Before


class Intake:
    """Takes what arrives; the writer takes it from here."""

    def __init__(self, streams: tuple[Stream, ...], memory: int, preroll: float) -> None:
        """Hold at most `memory` bytes, of which the last `preroll` seconds between episodes."""
        self._streams = streams
        self._memory = memory
        self._preroll = round(preroll * NANOSECONDS)
        self._ring: deque[Item] = deque()
        self._ring_size = 0
        self._queue: list[Item] = []
        self._waiting = 0  # bytes in the queue and in the writer's hands
        self._ledger: Ledger | None = None
        self._lock = threading.Lock()

    @property
    def waiting(self) -> int:
        """Bytes that are not written yet."""
        return self._waiting

    def push(self, items: list[Item]) -> None:
        """Take messages, in the order of their arrival."""
        with self._lock:
            for item in items:
                if self._ledger is None:
                    self._remember(item)
                else:
                    self._admit(item, self._ledger)

    def begin(self, ledger: Ledger) -> None:
        """Begin an episode with what the ring holds."""
        with self._lock:
            self._ledger = ledger
            self._queue, self._waiting = [], 0
            for item in self._ring:
                self._admit(item, ledger)
            self._ring.clear()
            self._ring_size = 0

    def take(self) -> list[Item]:
        """Return what waits, and wait for more."""
        with self._lock:
            items, self._queue = self._queue, []
        return items

    def written(self, size: int) -> None:
        """Give memory back."""
        with self._lock:
            self._waiting -= size

    def end(self) -> None:
        """End the episode: what comes now belongs to the next one's ring."""
        with self._lock:
            self._ledger = None

    def _remember(self, item: Item) -> None:
        ring = self._ring
        ring.append(item)
        self._ring_size += len(item.data)
        oldest = item.arrival - self._preroll
        while ring and (ring[0].arrival <= oldest or self._ring_size > self._memory // 2):
            self._ring_size -= len(ring.popleft().data)

    def _admit(self, item: Item, ledger: Ledger) -> None:
        tally = ledger.tallies[item.stream]
        tally.count(item.arrival, item.stamp, item.before)
        size = len(item.data)
        large = self._streams[item.stream].large
        if self._waiting + size > self._memory * (_SHARE_OF_LARGE if large else 1.0):
            tally.dropped += 1
            return
        self._waiting += size
        self._queue.append(item)
