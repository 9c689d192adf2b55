"""When somebody else than the policy moved the arms during an episode."""

from __future__ import annotations

import threading
from dataclasses import replace

from labvla_data.recording.sidecar import Intervention

# Owners of the motion (PolicyStatus.motion_owner) that take over from a policy.
PEOPLE = ("teleop", "correction")


class Interventions:
    """Follows who owns the motion."""

    def __init__(self) -> None:
        self._found: list[Intervention] = []
        self._owner = ""
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Begin an episode: what was before does not count."""
        with self._lock:
            self._found, self._owner = [], ""

    def note(self, t: int, owner: str) -> None:
        """Note who owns the motion at a time (ns)."""
        with self._lock:
            if owner == self._owner:
                return
            self._close(t)
            self._owner = owner
            if owner in PEOPLE:
                self._found.append(Intervention(owner, t))

    def until(self, t: int) -> tuple[Intervention, ...]:
        """Return the interventions of an episode that ends at a time."""
        with self._lock:
            self._close(t)
            return tuple(self._found)

    def _close(self, t: int) -> None:
        if self._found and self._found[-1].end is None:
            self._found[-1] = replace(self._found[-1], end=t)
