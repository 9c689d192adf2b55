"""What the policy's status tells of an episode: who moves the arms, and on which instruction."""

from __future__ import annotations

import threading
from dataclasses import replace

from labvla_data.recording.sidecar import Intervention

# Owners of the motion (PolicyStatus.motion_owner) that take over from a policy.
PEOPLE = ("teleop", "correction")


class Course:
    """Follows an episode."""

    def __init__(self) -> None:
        self._interventions: list[Intervention] = []
        self._owner = ""
        self._instruction = ""
        self._lock = threading.Lock()

    @property
    def instruction(self) -> str:
        """The first instruction of the episode; empty while there was none."""
        return self._instruction

    def begin(self) -> None:
        """Begin an episode: what was before does not count."""
        with self._lock:
            self._interventions, self._owner, self._instruction = [], "", ""

    def note(self, t: int, owner: str, instruction: str) -> None:
        """Note who owns the motion at a time (ns), and what is to be done."""
        with self._lock:
            self._instruction = self._instruction or instruction
            if owner == self._owner:
                return
            self._close(t)
            self._owner = owner
            if owner in PEOPLE:
                self._interventions.append(Intervention(owner, t))

    def interventions(self, t: int) -> tuple[Intervention, ...]:
        """Return the interventions of an episode that ends at a time."""
        with self._lock:
            self._close(t)
            return tuple(self._interventions)

    def _close(self, t: int) -> None:
        if self._interventions and self._interventions[-1].end is None:
            self._interventions[-1] = replace(self._interventions[-1], end=t)
