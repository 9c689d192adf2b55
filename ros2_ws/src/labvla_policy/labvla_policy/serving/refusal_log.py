"""What was refused, for the log: all of it is counted, none of it can flood."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable

from labvla_policy.serving.reasons import RequestRefused

_LOG = logging.getLogger(__name__)
QUIET = 1.0  # s in which the same client hears the same reason without another line
_MOST = 1000  # pairs that are remembered


class RefusalLog:
    """One line a second for each client and reason, with how often it happened meanwhile."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told: dict[tuple[str, str], float] = {}
        self._held_back: Counter[tuple[str, str]] = Counter()
        self.counts: Counter[str] = Counter()  # by reason, since the start

    def add(self, client: str, refused: RequestRefused) -> None:
        """Count a refusal, and write it down unless the same was written just now."""
        self.counts[refused.reason] += 1
        cause, now = (client, refused.reason), self._clock()
        if now - self._told.get(cause, float("-inf")) < QUIET:
            self._held_back[cause] += 1
            return
        if len(self._told) >= _MOST:
            self._told.clear()
        self._told[cause] = now
        more = self._held_back.pop(cause, 0)
        _LOG.warning("%s: %s%s", client, refused, f" ({more} more before)" if more else "")

    def summary(self) -> str:
        """Return all counts as one line; empty if nothing was refused."""
        return ", ".join(f"{reason} {count}" for reason, count in self.counts.most_common())
