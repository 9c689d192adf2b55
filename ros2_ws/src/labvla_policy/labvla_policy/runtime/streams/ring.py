"""A bounded history of one stream: messages stay raw until somebody uses them.

At 30 pictures a second and five predictions a second most pictures are never looked at, so decoding
on arrival would be wasted work in the very thread that must not fall behind.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from labvla_policy.runtime.refusal import Refusal, Refused
from labvla_policy.runtime.streams.gaps import follow
from labvla_policy.runtime.types import NANOSECONDS

Raw = TypeVar("Raw")
Value = TypeVar("Value")


@dataclass(frozen=True)
class Counts:
    """What became of the messages of a stream since it began."""

    received: int
    lost: int  # never arrived, by gaps between stamps against the nominal rate
    overwritten: int  # left the ring without having been used
    refused: Mapping[str, int]  # by reason: not kept, or could not be decoded
    clock_jumps: int


class Sample(Generic[Raw, Value]):
    """One message of a stream."""

    __slots__ = ("_failure", "_value", "arrival", "raw", "stamp", "used")

    def __init__(self, raw: Raw, stamp: int, arrival: int) -> None:
        self.raw = raw
        self.stamp = stamp  # ns, capture time
        self.arrival = arrival  # ns, on a clock that is never set
        self.used = False
        self._value: Value | None = None
        self._failure: Refusal | None = None


class Ring(Generic[Raw, Value]):
    """The newest messages of one stream, for one writer and any number of readers.

    Readers work on an immutable tuple that the writer replaces in one step: they never wait for the
    writer, and what they hold does not change under them.
    """

    def __init__(
        self,
        decode: Callable[[Raw], Value],
        *,
        rate: float,
        capacity: int,
        latency: float = 0.0,
    ) -> None:
        """Keep `capacity` messages that should come at `rate` Hz, `latency` s after capture."""
        self._decode = decode
        self._period = NANOSECONDS / rate
        self._latency = round(latency * NANOSECONDS)
        self._capacity = capacity
        self._samples: tuple[Sample[Raw, Value], ...] = ()
        self._newest: Sample[Raw, Value] | None = None
        self._received = self._lost = self._overwritten = self._clock_jumps = 0
        self._refused: Counter[str] = Counter()
        self._lock = threading.Lock()  # readers decode and count refusals

    @property
    def samples(self) -> tuple[Sample[Raw, Value], ...]:
        """What is kept, oldest first."""
        return self._samples

    @property
    def newest(self) -> Sample[Raw, Value] | None:
        """The newest sample, if any is kept."""
        samples = self._samples
        return samples[-1] if samples else None

    @property
    def counts(self) -> Counts:
        """What became of all messages until now."""
        with self._lock:
            refused = dict(self._refused)
        return Counts(self._received, self._lost, self._overwritten, refused, self._clock_jumps)

    def rate(self, t: int) -> float:
        """Return the rate (Hz) of what is kept; 0 when its newest is a second old at time t."""
        samples = self._samples
        if len(samples) < 2 or t - samples[-1].stamp > NANOSECONDS:
            return 0.0
        return (len(samples) - 1) * NANOSECONDS / (samples[-1].stamp - samples[0].stamp)

    def age(self, t: int) -> float:
        """Return the age (s) of the newest sample; NaN before the first."""
        newest = self.newest
        return (t - newest.stamp) / NANOSECONDS if newest else float("nan")

    def push(self, raw: Raw, stamp: int, arrival: int) -> bool:
        """Keep a message unless its stamp makes no sense; `stamp` as in its header."""
        self._received += 1
        sample: Sample[Raw, Value] = Sample(raw, stamp - self._latency, arrival)
        last = self._newest
        if last is not None:
            after = follow(sample.stamp - last.stamp, arrival - last.arrival, self._period)
            if after.backwards:
                self._count_refusal("stamp_order")
                return False
            if after.jumped:
                self._clock_jumps += 1
                self._samples = ()  # their stamps cannot be compared with what comes now
            self._lost += after.missing
        self._newest = sample
        samples = self._samples
        if len(samples) == self._capacity:
            self._overwritten += not samples[0].used
            samples = samples[1:]
        self._samples = (*samples, sample)
        return True

    def value(self, sample: Sample[Raw, Value]) -> Value:
        """Return what a sample holds, decoded once, or raise the reason why it cannot be."""
        sample.used = True
        with self._lock:
            if sample._failure is not None:
                raise Refused(sample._failure)
            if sample._value is None:
                try:
                    sample._value = self._decode(sample.raw)
                except Refused as refused:
                    sample._failure = refused.refusal
                    self._refused[refused.refusal.reason] += 1
                    raise
            return sample._value

    def _count_refusal(self, reason: str) -> None:
        with self._lock:
            self._refused[reason] += 1
