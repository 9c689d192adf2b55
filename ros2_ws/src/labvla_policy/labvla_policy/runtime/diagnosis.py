"""How every part of the policy is doing, in the words that events use.

From counters to findings, without ROS. A part is `STALE` when nothing new comes from it, `ERROR`
when it keeps the policy from working, and `WARN` when something was refused, lost or stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from labvla_policy.runtime.event_log import Noted
from labvla_policy.runtime.reference import Mode, Reference
from labvla_policy.runtime.scheduling.scheduler import Scheduler
from labvla_policy.runtime.streams.ring import Ring
from labvla_policy.runtime.types import NANOSECONDS

PERIOD = NANOSECONDS  # between two diagnoses
LEAST_RATE = 0.8  # of the nominal rate; below, a stream is worth a warning


class Level(IntEnum):
    """As in diagnostic_msgs/DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2
    STALE = 3


@dataclass(frozen=True)
class Finding:
    """How one part is doing."""

    part: str
    level: Level
    message: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Stream:
    """A stream and the words about it."""

    part: str
    concerns: Callable[[Noted], bool]  # whether an event is about it
    kind: str  # camera, joint_state or gripper_state: the reasons of its silence begin with that
    rate: float | None  # Hz, where a cell declares one
    longest_age: int  # ns


class StreamWatch:
    """Compares a stream with what it was at the last look."""

    def __init__(self, stream: Stream, ring: Ring[Any, Any]) -> None:
        self._stream, self._ring = stream, ring
        self._before = ring.counts

    def find(self, t: int, events: Sequence[Noted]) -> Finding:
        """Judge the time since the last look."""
        counts, before, last = self._ring.counts, self._before, self._ring.newest
        self._before = counts
        stream, rate = self._stream, self._ring.rate(t)
        refused = [r for r, n in counts.refused.items() if n > before.refused.get(r, 0)]
        about = [e for e in events if e.source == "observation" and stream.concerns(e)]
        if last is None:
            found = Level.STALE, f"{stream.kind}_missing: nothing has arrived"
        elif t - last.stamp > stream.longest_age:
            found = Level.STALE, f"{stream.kind}_stale: {(t - last.stamp) * 1e-9:.2f} s old"
        elif about:
            found = Level.ERROR, str(about[-1])
        elif refused:
            found = Level.WARN, f"{', '.join(refused)}: some were refused"
        elif counts.clock_jumps > before.clock_jumps:
            found = Level.WARN, "clock_jump: everything from before was forgotten"
        elif stream.rate is not None and rate < LEAST_RATE * stream.rate:
            found = Level.WARN, f"{rate:.1f} Hz, expected {stream.rate:g} Hz"
        else:
            found = Level.OK, f"{rate:.1f} Hz"
        return Finding(
            stream.part,
            *found,
            {
                "age [ms]": f"{(t - last.stamp) * 1e-6:.1f}" if last else "",
                "received": counts.received,
                "lost": counts.lost,
                "dropped unused": counts.overwritten,
                "clock jumps": counts.clock_jumps,
                **{f"refused: {reason}": n for reason, n in sorted(counts.refused.items())},
            },
        )


def engine(ready: bool, fault: str, values: Mapping[str, Any], events: Sequence[Noted]) -> Finding:
    """Judge the engine; `fault` says why it is not ready, empty while it loads."""
    own = [event for event in events if event.source == "engine"]
    if not ready and fault:
        return Finding("engine", Level.ERROR, f"engine_not_ready: {fault}", values)
    if not ready:
        return Finding("engine", Level.WARN, "is loading", values)
    if own:
        return Finding("engine", Level.WARN, str(own[-1]), values)
    return Finding("engine", Level.OK, "ready", values)


_MODES: Mapping[Mode, tuple[Level, str]] = {
    Mode.STOPPED: (Level.WARN, "stopped: `labvla recover` makes the cell ready again"),
    Mode.PAUSED: (Level.WARN, "controller_paused: call labvla/resume"),
    Mode.FAULT: (Level.ERROR, "controller_fault: its stop reason says which precondition is lost"),
}


def controller(reference: Reference | None, values: Mapping[str, Any]) -> Finding:
    """Judge the controller by its newest state; `values` are its own counters."""
    if reference is None:
        message = "controller_silent: no recent state; is it running?"
        return Finding("controller", Level.STALE, message, values)
    level, message = _MODES.get(reference.mode, (Level.OK, reference.mode.value))
    return Finding("controller", level, message, values)


class SchedulingWatch:
    """Compares the scheduler's counters with those of the last look."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._dropped, self._fallbacks = scheduler.dropped, scheduler.fallbacks

    def find(self) -> Finding:
        """Judge the time since the last look."""
        scheduler, dropped = self._scheduler, self._scheduler.dropped
        new = [reason for reason, n in dropped.items() if n > self._dropped.get(reason, 0)]
        fell_back = scheduler.fallbacks > self._fallbacks
        self._dropped, self._fallbacks = dropped, scheduler.fallbacks
        if new:
            found = Level.WARN, f"{', '.join(new)}: answers were dropped"
        elif fell_back:
            found = Level.WARN, "rtc fell back to async: the delay leaves no room for a prefix"
        else:
            found = Level.OK, scheduler.mode
        return Finding(
            "scheduling",
            *found,
            {
                "delay [rows]": scheduler.delay_rows,
                "accepted": scheduler.accepted,
                "asked without a prefix": scheduler.fallbacks,
                **{f"dropped: {reason}": n for reason, n in sorted(dropped.items())},
            },
        )


def refusals(
    part: str, sources: Sequence[str], counts: Mapping[str, int], events: Sequence[Noted]
) -> Finding:
    """Judge a part that is seen only by what it refuses."""
    own = [event for event in events if event.source in sources]
    found = (Level.WARN, str(own[-1])) if own else (Level.OK, "nothing refused lately")
    return Finding(part, *found, dict(sorted(counts.items())))


class TransportWatch:
    """Counts, by topic, messages that could not be read at all."""

    def __init__(self) -> None:
        self._before: Mapping[str, int] = {}

    def find(self, corrupt: Mapping[str, int]) -> Finding:
        """Judge the time since the last look."""
        new = [topic for topic, n in corrupt.items() if n > self._before.get(topic, 0)]
        self._before = dict(corrupt)
        values = {f"unreadable: {topic}": n for topic, n in corrupt.items()}
        if new:
            message = f"message_corrupt: {', '.join(new)}"
            return Finding("transport", Level.WARN, message, values)
        return Finding("transport", Level.OK, "all was readable", values)
