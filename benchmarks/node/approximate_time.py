"""Sets of messages with nearly equal stamps, as message_filters makes them.

The ROS wheels of bench mode have no message_filters. This has the semantics of its Python
ApproximateTimeSynchronizer: a queue per stream; whenever a message comes, the others' messages
nearest to it within the slop make a set with it, and leave the queues.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any


class ApproximateTime:
    """Calls back with one message per stream."""

    def __init__(self, streams: int, queue: int, slop: int, callback: Callable[..., None]) -> None:
        """Keep `queue` messages of each stream; `slop` is the most that stamps may differ (ns)."""
        self._queues: list[OrderedDict[int, Any]] = [OrderedDict() for _ in range(streams)]
        self._most, self._slop, self._callback = queue, slop, callback

    def add(self, stream: int, stamp: int, message: Any) -> None:
        """Take a message, and call back if it completes a set."""
        own = self._queues[stream]
        own[stamp] = message
        while len(own) > self._most:
            own.popitem(last=False)
        stamps = []
        for number, queue in enumerate(self._queues):
            if number == stream:
                stamps.append(stamp)
                continue
            if not queue:
                return
            stamps.append(min(queue, key=lambda s: abs(s - stamp)))
        if max(stamps) - min(stamps) > self._slop:
            return
        found = [queue.pop(s) for queue, s in zip(self._queues, stamps, strict=True)]
        self._callback(*found)
