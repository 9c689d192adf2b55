"""Plays a bag's pictures and joint states into the policy's own rings, and observes from them.

The same rings and the same assembly as in the live node: what a policy is trained on is what it
will see. Only the clock differs: an observation of the moment t sees everything that was captured
until t, also what arrived later.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from typing import Any, cast

import numpy as np

from labvla_data.export.notes import Notes, UsedObservation
from labvla_data.export.source import Source, reading
from labvla_policy.runtime.cell import Cell
from labvla_policy.runtime.observation.assembler import Assembler, AssemblySettings
from labvla_policy.runtime.observation.rings import camera_rings, state_rings
from labvla_policy.runtime.refusal import Refusal, Refused
from labvla_policy.runtime.streams import cdr
from labvla_policy.runtime.streams.ring import Ring
from labvla_policy.runtime.types import NANOSECONDS, Observation

# How long a moment waits for a stream that has fallen silent; the rings remember 0.4 s.
_PATIENCE = NANOSECONDS // 5
_FOR_EVER = 2**62
# What an episode recorded before its bench was put up anew is no part of it (the recorder's
# preroll has it); after that time no row shows a picture of it any more.
_PUT_UP = NANOSECONDS // 10


@dataclass(frozen=True, eq=False)
class Row:
    """What was to be seen at one moment."""

    t: int  # ns
    seen: Observation | Refusal


@dataclass(frozen=True)
class Comparison:
    """Whether an observation that the policy node has used can be made again."""

    used: UsedObservation
    verdict: str  # equal, different, or missing: the bag lacks what it was made from
    detail: str = ""


def row_times(notes: Notes, fps: float) -> list[int]:
    """Return the moments of an episode's rows.

    They lie where no camera takes its picture: a frame that comes a millisecond early or late is
    then neither skipped nor shown twice.
    """
    streams = (*notes.cameras.values(), *notes.states.values())
    begin = max(stamps[0] for stamps in streams)
    if notes.put_up:
        begin = max(begin, notes.put_up + _PUT_UP)
    end = min(stamps[-1] for stamps in streams)
    period = NANOSECONDS / fps
    stamps = np.concatenate(list(notes.cameras.values())) - begin
    phases = np.sort(stamps % period)
    gaps = np.diff(np.append(phases, phases[0] + period))
    widest = int(gaps.argmax())
    first = (phases[widest] + gaps[widest] / 2) % period
    count = int((end - begin - first) // period) + 1
    return [begin + round(first + row * period) for row in range(max(count, 0))]


def usual_age(notes: Notes, times: Sequence[int]) -> int:
    """Return how old (ns) an observation usually is: from the middle of its pictures to its row."""
    if not times:
        return 0
    moments = np.array(times, dtype=np.int64)
    newest = []
    for stamps in notes.cameras.values():
        known = np.sort(np.array(stamps, dtype=np.int64))
        newest.append(known[np.maximum(np.searchsorted(known, moments, side="right") - 1, 0)])
    middle = (np.min(newest, axis=0) + np.max(newest, axis=0)) // 2
    return int(np.median(moments - middle))


class Playback:
    """One run through a bag."""

    def __init__(self, source: Source, notes: Notes) -> None:
        self._source, self._notes = source, notes
        cell = source.cell
        self._states, self._cameras = state_rings(cell), camera_rings(cell)
        # Live, a picture that is one period older is a fair price for less skew. A dataset wants
        # every picture once, so here the newest frames that belong together are taken.
        slack = round(NANOSECONDS / max(camera.rate for camera in cell.policy_cameras) / 2)
        settings = AssemblySettings(skew_slack=slack)
        self._assembler = Assembler(cell, self._states, self._cameras, settings)
        self._rings: dict[str, Ring[Any, Any]] = {
            **{source.topic(name): ring for name, ring in self._states.items()},
            **{
                source.topic(camera.topic): self._cameras[camera.name]
                for camera in cell.policy_cameras
            },
        }
        self._newest = dict.fromkeys(self._rings, -_FOR_EVER)

    def run(
        self, times: Sequence[int], used: Sequence[UsedObservation]
    ) -> Iterator[Row | Comparison]:
        """Yield a row for every time, and a comparison for every observation used, by time."""
        rows = ((t, number, None) for number, t in enumerate(times))
        checks = ((min(u.stamps) + u.age, number, u) for number, u in enumerate(used))
        by_time = sorted(checks, key=lambda check: check[0])
        moments = list(merge(rows, by_time, key=lambda moment: moment[0]))
        at = 0
        with reading(self._source.folder) as reader:
            for message in reader.messages(self._rings.keys(), check=False, copy=False):
                try:
                    stamp = cdr.read_stamp(message.data)
                except Refused:
                    continue  # counted by nobody: a message without a stamp belongs to no moment
                if self._rings[message.topic].push(message.data, stamp, message.log_time):
                    self._newest[message.topic] = stamp
                while at < len(moments) and self._has_come(moments[at][0]):
                    yield self._look(moments[at])
                    at += 1
        for moment in moments[at:]:
            yield self._look(moment)

    def _has_come(self, t: int) -> bool:
        """Whether every stream has passed a moment, or one has gone on alone for too long."""
        newest = self._newest.values()
        return min(newest) >= t or max(newest) > t + _PATIENCE

    def _look(self, moment: tuple[int, int, UsedObservation | None]) -> Row | Comparison:
        t, _, used = moment
        return self._row(t) if used is None else self._compare(t, used)

    def _row(self, t: int) -> Row:
        reference = self._notes.reference

        def positions_at(stamp: int) -> Any:
            target = reference.at(stamp) if reference is not None else None
            return target.positions if target is not None else None

        try:
            return Row(t, self._assembler.assemble(t, "", positions_at))
        except Refused as refused:
            return Row(t, refused.refusal)

    def _compare(self, t: int, used: UsedObservation) -> Comparison:
        """Make an observation again from the very samples that were used, and compare hashes."""
        cell = self._source.cell
        lost = [
            f"{name} {stamp}"
            for name, stamp in used.cameras.items()
            if not _holds(self._cameras[name], stamp)
        ]
        joints = cell.joint_states.topic
        if not _holds(self._states[joints], used.stamp):
            lost.append(f"{joints} {used.stamp}")
        if lost:
            return Comparison(used, "missing", ", ".join(lost))
        try:
            again = self._exact(cell, used).assemble(t, used.instruction)
        except Refused as refused:
            return Comparison(used, "different", str(refused.refusal.detail))
        if again.hash == used.hash:
            return Comparison(used, "equal")
        return Comparison(used, "different", f"state {np.round(again.state, 6).tolist()}")

    def _exact(self, cell: Cell, used: UsedObservation) -> Assembler:
        """Return an assembler that has no choice, and accepts what it is given."""
        unseen = {c.name for c in cell.policy_cameras} - used.cameras.keys()
        settings = AssemblySettings(
            max_skew=_FOR_EVER,
            max_age=_FOR_EVER,
            max_gripper_age=_FOR_EVER,
            max_frozen=_FOR_EVER,
            optional_cameras=frozenset(unseen),
        )
        cameras = {
            name: _only(ring, used.cameras.get(name)) for name, ring in self._cameras.items()
        }
        joints = cell.joint_states.topic
        states = {**self._states, joints: _only(self._states[joints], used.stamp)}
        return Assembler(cell, states, cameras, settings)


class _Narrowed:
    """A ring of which only one sample is seen."""

    def __init__(self, ring: Ring[Any, Any], stamp: int | None) -> None:
        self.samples = tuple(sample for sample in ring.samples if sample.stamp == stamp)
        self.value = ring.value


def _only(ring: Ring[Any, Any], stamp: int | None) -> Ring[Any, Any]:
    # The assembler asks a ring for its samples and their values, and for nothing else.
    return cast("Ring[Any, Any]", _Narrowed(ring, stamp))


def _holds(ring: Ring[Any, Any], stamp: int) -> bool:
    return any(sample.stamp == stamp for sample in ring.samples)
