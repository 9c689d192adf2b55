"""A bounded queue in which nobody waits for somebody else's heap: the clients take turns."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")

REMEMBERED = 1024  # clients whose last turn is known; who is forgotten counts as new


class FairQueue(Generic[T]):
    """Waiting items by client; whose last turn is the longest ago is next.

    Last turns are remembered while a client has nothing to ask: one that asks again as soon as it
    has its answer would otherwise always come too late for every other turn.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lines: dict[str, deque[T]] = {}
        self._turns: dict[str, None] = {}  # clients in the order of their last turns

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
        return self._without(greediest, self._lines[greediest].pop())

    def take(self) -> T | None:
        """Return the next item; None if nobody waits."""
        if not self._lines:
            return None
        new = next((client for client in self._lines if client not in self._turns), None)
        client = new or next(client for client in self._turns if client in self._lines)
        self._turns.pop(client, None)
        self._turns[client] = None
        if len(self._turns) > REMEMBERED:
            del self._turns[next(iter(self._turns))]
        return self._without(client, self._lines[client].popleft())

    def discard(self, client: str, item: T) -> bool:
        """Remove an item that nobody waits for any more; False if it is not here."""
        line = self._lines.get(client, ())
        if item not in line:
            return False
        self._lines[client].remove(item)
        self._without(client, item)
        return True

    def _without(self, client: str, item: T) -> T:
        """Forget a line that has become empty; return the item that was taken from it."""
        if not self._lines[client]:
            del self._lines[client]
        return item
