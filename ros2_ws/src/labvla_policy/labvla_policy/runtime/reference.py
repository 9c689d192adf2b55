"""What the controller has said about its reference: where the arms are commanded to be."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum

import numpy as np

from labvla_policy.runtime.types import NANOSECONDS, Array

MEMORY = 50  # states: a second at the rate at which a controller publishes them
STANDING = 1e-3  # rad/s
STALE = NANOSECONDS // 4  # an older state says nothing about now


class Mode(Enum):
    """What the controller does; see ControllerState."""

    HOLD = "hold"
    TRACKING = "tracking"
    STOPPING = "stopping"
    STOPPED = "stopped"
    PAUSED = "paused"
    FAULT = "fault"


@dataclass(frozen=True, eq=False)
class Reference:
    """One state of the controller, joints in the order of the cell."""

    stamp: int  # ns, of the control cycle
    positions: Array
    velocities: Array
    remaining: int  # ns of plan left
    mode: Mode = Mode.HOLD
    measured: Array | None = None  # rad, where the arms are
    speed_scaling: float = 1.0  # the robot's own

    @property
    def at_rest(self) -> bool:
        """Whether the arms stand, and no plan is left that could move them."""
        return self.remaining <= 0 and bool(np.all(np.abs(self.velocities) < STANDING))


class ReferenceHistory:
    """The controller's last states. One thread adds, others may read."""

    def __init__(self) -> None:
        self._states: deque[Reference] = deque(maxlen=MEMORY)

    def add(self, state: Reference) -> None:
        """Note a state; one from before the last means that the clock was set."""
        if self._states and state.stamp <= self._states[-1].stamp:
            self._states.clear()
        self._states.append(state)

    @property
    def last(self) -> int | None:
        """The stamp of the newest state (ns), however old."""
        known = tuple(self._states)
        return known[-1].stamp if known else None

    def newest(self, t: int) -> Reference | None:
        """Return the newest state, unless it is too old at time t."""
        recent = self.recent(t)
        return recent[-1] if recent else None

    def recent(self, t: int) -> tuple[Reference, ...]:
        """Return the known states, oldest first; none if the newest is too old at time t."""
        known = tuple(self._states)
        return known if known and t - known[-1].stamp <= STALE else ()

    def positions_at(self, stamp: int) -> Array | None:
        """Return where the reference was; outside of what is known, the nearest state's."""
        known = tuple(self._states)
        if not known:
            return None
        stamps = np.array([state.stamp for state in known]) - stamp
        positions = np.array([state.positions for state in known])
        return np.array([np.interp(0, stamps, joint) for joint in positions.T])
