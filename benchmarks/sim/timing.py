"""How long work takes that is always the same: the least disturbed of several rounds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

Work = Callable[[int], object]  # does something some times


def least(works: Mapping[str, Work], times: int, rounds: int) -> dict[str, float]:
    """Return the seconds that each takes once, by name.

    All have their turn in every round, so that a machine that slows down treats them alike.
    """
    found = dict.fromkeys(works, float("inf"))
    for work in works.values():
        work(1)  # what is made at the first time
    for _ in range(rounds):
        for name, work in works.items():
            begin = time.perf_counter()
            work(times)
            found[name] = min(found[name], (time.perf_counter() - begin) / times)
    return found
