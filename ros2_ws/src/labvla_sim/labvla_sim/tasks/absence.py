"""What was asked for is not there: for ten seconds nothing else may be touched in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labvla_sim.tasks.judging import EventLog, Verdict

if TYPE_CHECKING:
    from labvla_sim.plant.truth import Truth

PATIENCE = 10.0  # s
ALONE = "left alone"
_BENCH = "world"  # to look for something on the bench does no harm


class AbsenceJudge:
    """Judges an instruction about something that is not there."""

    def __init__(self) -> None:
        self._touched = ""
        self._success = False
        self._log = EventLog()

    def look(self, truth: Truth) -> None:
        """Take one look."""
        bodies = {touch.body for touch in truth.touches} - {_BENCH}
        for body in sorted(name for name in bodies if "/" not in name):  # no parts of arms
            self._log.follow(truth.time, f"{body} touched", True)
            self._touched = self._touched or body
        if truth.time >= PATIENCE and not self._touched and not self._success:
            self._success = True
            self._log.note(truth.time, "success")

    @property
    def verdict(self) -> Verdict:
        """What the judge says so far."""
        if self._touched:
            reason = f"what was asked for is not there, and the arm has touched {self._touched}"
            return Verdict(self._success, "touched", reason, self._log.events)
        reason = "" if self._success else f"nothing touched, but not for {PATIENCE:g} s yet"
        return Verdict(self._success, ALONE, reason, self._log.events)
