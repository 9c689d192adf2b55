"""A bounded queue in which nobody waits for somebody else's heap: the clients take turns."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """Waiting items by client, taken one client after another."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lines: dict[str, deque[T]] = {}  # in the order of the clients' turns

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    def put(self, client: str, item: T) -> T | None:
        """Add an item; return the one that has to go where there is no room, perhaps this one.

        Without room the longest line gives its last item, so that a client with a heap of questions
        cannot keep out one that has a single one.
        """
        self._lines.setdefault(client, deque()).append(item)
        if len(self) <= self._most:
            return None
        greediest = max(self._lines, key=lambda name: (len(self._lines[name]), name == client))
        return self._taken(greediest, self._lines[greediest].pop())

    def take(self) -> T | None:
        """Return the next item and send its client to the end of the row; None if nobody waits."""
        if not self._lines:
            return None
        client = next(iter(self._lines))
        line = self._lines.pop(client)
        item = line.popleft()
        if line:
            self._lines[client] = line
        return item

    def discard(self, client: str, item: T) -> bool:
        """Remove an item that nobody waits for any more; False if it is not here."""
        line = self._lines.get(client, ())
        if item not in line:
            return False
        self._lines[client].remove(item)
        self._taken(client, item)
        return True

    def _taken(self, client: str, item: T) -> T:
        if not self._lines[client]:
            del self._lines[client]
        return item
