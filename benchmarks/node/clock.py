"""One clock for all processes of the benchmark.

Stamps are those of the monotonic clock plus an offset that is fixed at the start, so that a stamp
can be compared with a monotonic time in any process of this machine.
"""

from __future__ import annotations

import time


def new_offset() -> int:
    """Return the time of day minus the monotonic clock, in ns."""
    return time.time_ns() - time.monotonic_ns()
