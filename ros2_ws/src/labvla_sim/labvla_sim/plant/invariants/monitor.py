"""Watches a controlled cell at every tick, cheaply: ticks are recorded and judged by the block."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from labvla_control import Mode
from labvla_sim.plant.invariants.aftermath import Aftermath, History
from labvla_sim.plant.invariants.checks import INVARIANTS, WINDOW, Checks, Ticks
from labvla_sim.plant.invariants.series import Invariant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from labvla_control import State
    from labvla_policy.runtime.cell import Cell
    from labvla_policy.runtime.types import Array
    from labvla_sim.plant.sim_cell import RobotState
    from labvla_sim.plant.truth import Touch

BLOCK = 50  # ticks judged together: fifty at once cost little more than one
_NS = 1e-9


class _Tick(NamedTuple):
    """One tick as it was recorded: a tuple, since a thousand of them are made every second."""

    measured: RobotState
    reference: Array
    command: Array
    widths: Array
    touches: Sequence[Touch]
    following: bool
    accepted: int | None  # stamp of the last accepted chunk
    halted: int | None  # stamp of the stop or pause in force
    pace: float  # of the plan, 1 is its own
    instant: int  # ns on the machine's clock


class InvariantMonitor:
    """The simulator's own witness of what the stack does to the arms.

    `observe` belongs to the thread that ticks, and so does whatever is called under its lock;
    `accepted`, `halted` and `released` may come from any.
    """

    def __init__(self, cell: Cell) -> None:
        self._checks = Checks(cell)
        self._liftable: frozenset[str] = frozenset()
        self._accepted: int | None = None
        self._halted: int | None = None
        self._anchors = 0
        self._known: list[_Tick] = []
        self._fresh: list[_Tick] = []
        self._found: dict[str, Invariant] = {}
        self._history = History()
        self._begun = 0
        self.watching = False

    def begin(self, stamp: int) -> None:
        """Forget what was found and watch from now (ns) on."""
        self._drop()
        self._found = {name: Invariant(name) for name in INVARIANTS}
        self._history = History()
        self._begun = stamp
        self.watching = True

    def end(self) -> None:
        """Watch no longer; what was found stays."""
        self._judge()
        self.watching = False

    def report(self) -> list[Invariant]:
        """Return every invariant with the number that came nearest to its bound."""
        self._judge()
        return list(self._found.values())

    def after(self, instant: int) -> Aftermath:
        """Return what the reference did after an instant (ns of the machine's monotonic clock)."""
        return self._history.after(instant)

    def interrupt(self, liftable: frozenset[str]) -> None:
        """Note that the scene was put up anew: the arms are elsewhere, and nothing is stopped."""
        self._judge()
        self._drop()
        self._accepted = self._halted = None
        self._anchors = 0
        self._liftable = liftable

    def accepted(self, stamp: int) -> None:
        """Note that the controller has accepted a chunk."""
        self._accepted = stamp

    def halted(self, stamp: int) -> None:
        """Note that a stop or a pause was requested; the first one counts."""
        if self._halted is None:
            self._halted = stamp

    def released(self) -> None:
        """Note that it was asked to end."""
        self._halted = None

    def observe(
        self, measured: RobotState, control: State, widths: Array, touches: Sequence[Touch]
    ) -> None:
        """Record one tick: what was measured, and what was commanded on that."""
        if control.anchors != self._anchors:  # the one step that the reference may take
            self._judge()
            self._drop()
            self._anchors = control.anchors
        halted = self._halted
        if self._fresh and (halted is None) != (self._fresh[-1].halted is None):
            self._judge()
        tick = _Tick(
            measured,
            control.position,
            control.command,
            widths,
            touches,
            control.mode is Mode.TRACKING,
            self._accepted,
            halted,
            control.plan_rate,
            time.monotonic_ns(),
        )
        self._fresh.append(tick)
        if len(self._fresh) == BLOCK:
            self._judge()

    def _drop(self) -> None:
        self._known, self._fresh = [], []
        self._checks.forget()

    def _judge(self) -> None:
        if not self._fresh:
            return
        recorded = [*self._known, *self._fresh]
        times = np.array([tick.measured.stamp - self._begun for tick in recorded]) * _NS
        known = len(self._known)
        ticks = _ticks(recorded, known)
        for series in self._checks.series(ticks, self._liftable):
            self._found[series.name].take(series, times)
        instants = np.array([tick.instant for tick in self._fresh])
        paces = np.array([tick.pace for tick in self._fresh])
        self._history.add(instants, paces, ticks.reference[known:])
        self._known, self._fresh = recorded[-WINDOW:], []


def _ticks(recorded: Sequence[_Tick], known: int) -> Ticks:
    stamps = [tick.measured.stamp for tick in recorded]
    return Ticks(
        reference=np.array([tick.reference for tick in recorded]),
        command=np.array([tick.command for tick in recorded]),
        positions=np.array([tick.measured.positions for tick in recorded]),
        velocities=np.array([tick.measured.velocities for tick in recorded]),
        efforts=np.array([tick.measured.efforts for tick in recorded]),
        widths=np.array([tick.widths for tick in recorded]),
        touches=[tick.touches for tick in recorded],
        following=np.array([tick.following for tick in recorded]),
        chunk_age=_ages(stamps, [tick.accepted for tick in recorded], np.inf),
        halt_age=_ages(stamps, [tick.halted for tick in recorded], np.nan),
        known=known,
    )


def _ages(stamps: Sequence[int], since: Sequence[int | None], never: float) -> Array:
    pairs = zip(stamps, since, strict=True)
    return np.array([never if begin is None else (now - begin) * _NS for now, begin in pairs])
