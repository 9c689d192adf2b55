"""A recovery under way: asks one thing after another, and believes only what it sees.

A state machine without a clock; every call says what time it is (steady ns). It never goes on over
something that a person has to end, nor when what was reached comes undone: it fails then, says why,
and begins anew only when somebody asks for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from labvla_policy.runtime.recovery.port import RobotPort
from labvla_policy.runtime.recovery.sequence import CELL, Step
from labvla_policy.runtime.recovery.state import FOR_PEOPLE, Fact, Halt, Snapshot
from labvla_policy.runtime.types import NANOSECONDS

CONFIRMATION = 300.0  # s that a person has for going to look
SILENCE = 10.0  # s that a driver may be silent: its manager answers nobody while it connects
SETTLING = 1.0  # s that something has to be seen before it need not be asked for: lists are old
PAUSE = 1.0  # s before something that was refused is asked again


class Phase(Enum):
    """How far a recovery is."""

    IDLE = "idle"
    RUNNING = "running"
    WAITING = "waiting"  # for a person's confirmation
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class Progress:
    """How far a recovery is, for people."""

    phase: Phase = Phase.IDLE
    text: str = ""
    step: int = 0  # from 1
    steps: int = 0
    confirm: str = ""  # what has to be checked, while a confirmation is waited for


@dataclass
class _Current:
    """The step that is worked on."""

    began: int  # ns
    ticket: int | None = None
    answered: bool = False
    not_before: int = 0  # ns
    refusal: str = ""


class Recovery:
    """Carries one sequence out at a time; for one thread. `step` it at 10 Hz or more."""

    def __init__(
        self, ports: Mapping[str, RobotPort], sequences: Mapping[str, Sequence[Step]]
    ) -> None:
        self._ports, self._sequences = ports, sequences
        self._steps: tuple[Step, ...] = ()
        self._index = 0
        self._current = _Current(0)
        self._confirmed: set[str] = set()  # arms that a person has looked at
        self._silent_since: dict[str, int] = {}  # ns
        self._kept: list[tuple[Step, frozenset[Fact]]] = []
        self.progress = Progress()

    def begin(self, t: int) -> tuple[bool, str]:
        """Begin, unless nothing that can be sent would help."""
        if self.progress.phase in (Phase.RUNNING, Phase.WAITING):
            return True, f"under way: {self.progress.text}"
        snapshots = self._look()
        for name, seen in snapshots.items():
            if seen.halt in FOR_PEOPLE or seen.halt is Halt.SILENT:
                return False, f"{name}: {seen.words}; {seen.halt.remedy}"
        halted = [name for name, seen in snapshots.items() if name != CELL and seen.halt]
        self._steps = tuple(step for name in (*halted, CELL) for step in self._sequences[name])
        self._confirmed, self._silent_since, self._kept = set(), {}, []
        self._enter(0, t)
        return True, f"recovery begun: {self.progress.text}"

    def confirm(self, t: int) -> tuple[bool, str]:
        """Take a person's word that they have looked; it counts for this arm and recovery alone."""
        if self.progress.phase is Phase.WAITING:
            self._confirmed.add(self._steps[self._index].subject)
            self._enter(self._index, t)
            return True, f"confirmed: {self.progress.text}"
        if self.progress.phase is Phase.RUNNING and self._confirmed:
            return True, "confirmed already"
        return False, "nothing waits for a confirmation: begin with `labvla recover`"

    def cancel(self, _t: int) -> tuple[bool, str]:
        """Ask for nothing more: a person wants the robots to stay as they are."""
        if self.progress.phase not in (Phase.RUNNING, Phase.WAITING):
            return True, "no recovery is under way"
        self._fail("given up by a person", "what was reached stays; begin with `labvla recover`")
        return True, self.progress.text

    def step(self, t: int) -> None:
        """Take what came back, look, and ask for what is due."""
        reports = {name: port.poll() for name, port in self._ports.items()}
        if self.progress.phase not in (Phase.RUNNING, Phase.WAITING):
            return
        snapshots = self._look()
        if self._hindered(snapshots, t):
            return
        if self.progress.phase is Phase.WAITING:
            if self._elapsed(t) > CONFIRMATION:
                self._fail(f"nobody confirmed within {CONFIRMATION:g} s")
            return
        step = self._steps[self._index]
        for report in reports[step.subject]:
            if report.ticket == self._current.ticket:
                self._take(report.what, report.detail, t)
        if self.progress.phase is Phase.RUNNING:
            self._pursue(step, snapshots[step.subject].facts, t)

    # Seeing

    def _look(self) -> dict[str, Snapshot]:
        return {name: port.snapshot() for name, port in self._ports.items()}

    def _hindered(self, snapshots: Mapping[str, Snapshot], t: int) -> bool:
        """Fail when a person is needed, a driver is gone, or what was reached is lost again."""
        for name, seen in snapshots.items():
            gone = self._silent_for(name, seen, t) > SILENCE
            if seen.halt and (gone or seen.halt in FOR_PEOPLE):
                self._fail(f"{name}: {seen.words}; {seen.halt.remedy}")
                return True
        for step, facts in self._kept:
            seen = snapshots[step.subject]
            if seen.halt is Halt.SILENT:
                continue  # nothing is seen of it: that is no sign of a loss
            if lost := facts - seen.facts:
                what = " and ".join(sorted(fact.value for fact in lost))
                self._fail(f"came undone: {step.does} (no longer: {what}); {seen.words}")
                return True
        return False

    def _silent_for(self, name: str, seen: Snapshot, t: int) -> float:
        if seen.halt is not Halt.SILENT:
            self._silent_since[name] = t
        return (t - self._silent_since.setdefault(name, t)) / NANOSECONDS

    # Asking

    def _pursue(self, step: Step, facts: frozenset[Fact], t: int) -> None:
        current = self._current
        seen = bool(step.until) and step.until <= facts
        late = self._elapsed(t) > step.timeout
        there_already = current.ticket is None and self._elapsed(t) > SETTLING
        # An answer can be lost: after its time, what is seen decides alone.
        reached = seen and (current.answered or there_already or late)
        if reached or (current.answered and not step.until):
            self._next(step, t)
        elif late:
            self._fail(self._why_late(step))
        elif not seen and current.ticket is None and t >= current.not_before:
            self._ask(step, t)

    def _ask(self, step: Step, t: int) -> None:
        if step.confirm and step.subject not in self._confirmed:
            self._show(Phase.WAITING, step.confirm)
            self._current.began = t
        elif not self._ports[step.subject].missing(step.call):
            self._current.ticket = self._ports[step.subject].ask(step.call)

    def _take(self, what: str, detail: str, t: int) -> None:
        current, step = self._current, self._steps[self._index]
        if what == "accepted":
            return
        if what == "succeeded":
            current.answered = True
            return
        current.refusal = f"{what}: {detail}" if detail else what
        if step.insists:
            current.ticket, current.not_before = None, t + round(PAUSE * NANOSECONDS)
        else:
            self._fail(current.refusal)

    def _why_late(self, step: Step) -> str:
        port = self._ports[step.subject]
        if self._current.answered:
            missing = " and ".join(sorted(fact.value for fact in step.until))
            return f"within {step.timeout:g} s it was not seen that {missing}"
        if self._current.refusal:
            return self._current.refusal
        if absent := port.missing(step.call):
            return f"nobody offers {absent}"
        return f"no answer within {step.timeout:g} s"

    # Moving on

    def _next(self, step: Step, t: int) -> None:
        if step.until and not step.passing:
            self._kept.append((step, step.until))
        self._enter(self._index + 1, t)

    def _enter(self, index: int, t: int) -> None:
        self._index, self._current = index, _Current(t)
        if index < len(self._steps):
            self._show(Phase.RUNNING)
        else:
            text = "ready; the instruction has to be given again"
            self.progress = Progress(Phase.DONE, text, index, index)

    def _show(self, phase: Phase, confirm: str = "") -> None:
        step = self._steps[self._index]
        text = f"{step.subject}: {step.does}"
        self.progress = Progress(phase, text, self._index + 1, len(self._steps), confirm)

    def _fail(self, why: str, advice: str = "") -> None:
        step = self._steps[self._index]
        advice = advice or step.advice
        text = f"{step.subject}: {step.does}: {why}. {advice[0].upper()}{advice[1:]}"
        self.progress = Progress(Phase.FAILED, text, self._index + 1, len(self._steps))

    def _elapsed(self, t: int) -> float:
        return (t - self._current.began) / NANOSECONDS
