"""Which frame of each camera: the set that was captured most nearly at one moment."""

from __future__ import annotations

from collections.abc import Sequence


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


def nearest(stamps: Sequence[int], moment: int) -> int | None:
    """Return the index of the stamp nearest to a moment, or None if there is none."""
    if not stamps:
        return None
    return min(range(len(stamps)), key=lambda i: (abs(stamps[i] - moment), -stamps[i]))
