"""Which frame of each camera: the set that was captured most nearly at one moment."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Protocol


class Stamped(Protocol):
    """Something with a time."""

    @property
    def stamp(self) -> int:
        """When it was taken, in ns."""


def least_skew(streams: Sequence[Sequence[int]], slack: int) -> tuple[int, ...]:
    """Return the index of the chosen stamp in each stream; every stream holds at least one.

    Stamps rise within a stream. Given the latest stamp of a set, no choice in the other streams
    beats the newest one that is not later; trying every stamp as the latest one therefore finds the
    least skew there is. Among the sets within `slack` of it the newest wins: stamps jitter, and a
    microsecond is not worth a picture that is one period older.
    """
    if not streams:
        return ()
    candidates: list[tuple[int, int, tuple[int, ...]]] = []
    positions = [len(stamps) - 1 for stamps in streams]
    for latest in sorted((stamp for stamps in streams for stamp in stamps), reverse=True):
        for stream, stamps in enumerate(streams):
            while positions[stream] >= 0 and stamps[positions[stream]] > latest:
                positions[stream] -= 1
        if min(positions) < 0:
            break
        earliest = min(stamps[at] for stamps, at in zip(streams, positions, strict=True))
        candidates.append((latest - earliest, latest, tuple(positions)))
    least = min(skew for skew, _, _ in candidates)
    return next(chosen for skew, _, chosen in candidates if skew <= least + slack)


def stamp_of(sample: Stamped) -> int:
    """Return when a sample was taken."""
    return sample.stamp


def nearest(samples: Sequence[Stamped], moment: int) -> int:
    """Return the index of the sample nearest to a moment, the later of two; there is at least one.

    Stamps rise.
    """
    after = bisect_left(samples, moment, key=stamp_of)
    if after == len(samples):
        return after - 1
    if after == 0:
        return 0
    before = moment - samples[after - 1].stamp
    return after if samples[after].stamp - moment <= before else after - 1
