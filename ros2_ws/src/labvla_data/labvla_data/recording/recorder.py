"""The recorder: begins, ends and discards episodes. Knows nothing of ROS.

idle → recording → finishing → idle. Requests are answered through futures, since all of them wait
for the disk and none of them may hold up the messages.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

from labvla_data.bag.mcap_file import Compression
from labvla_data.recording.clocks import EpisodeClock, MachineClock
from labvla_data.recording.course import Course
from labvla_data.recording.disk import DiskGuard
from labvla_data.recording.episode_writer import EpisodeWriter, Result, Tell
from labvla_data.recording.incidents import Incident
from labvla_data.recording.intake import Intake, Item
from labvla_data.recording.ledger import Entry, Ledger
from labvla_data.recording.open_episode import Connections, End, OpenEpisode
from labvla_data.recording.sidecar import OUTCOMES, Circumstances, Sidecar, Wish
from labvla_data.recording.streams import Stream

State = Literal["idle", "recording", "finishing"]
Answer = TypeVar("Answer")

LONGEST_TEXT = 10_000  # characters of notes; a request of a megabyte is a mistake
# A request that is repeated because its answer was lost is answered again, not refused.
REPEATED = 15.0  # s


class Refused(RuntimeError):
    """The recorder does not do it; the text says why and what to do."""


@dataclass(frozen=True)
class RecorderSettings:
    """How to record."""

    directory: Path
    memory: int  # bytes
    preroll: float  # s
    disk_floor: int  # bytes
    compression: Compression = "none"


@dataclass(frozen=True)
class Snapshot:
    """What the recorder does now."""

    state: State
    episode_id: str
    duration: float  # s
    written: int  # bytes
    waiting: int  # bytes
    free: int  # bytes
    entries: tuple[Entry, ...]


class Recorder:
    """One episode at a time, from one intake."""

    def __init__(
        self,
        streams: tuple[Stream, ...],
        settings: RecorderSettings,
        connections: Connections,
        circumstances: Callable[[], Circumstances],
        silent: Callable[[], list[str]],
        drain: Callable[[], None],
        tell: Tell,
        cell_file: Path | None = None,
        clock: EpisodeClock | None = None,
        disk: DiskGuard | None = None,
    ) -> None:
        """Record streams.

        `silent` names required topics that do not come; `drain` fetches what has arrived already;
        `clock` is the one of the arrivals.
        """
        settings.directory.mkdir(parents=True, exist_ok=True)
        self._settings = settings
        self._streams = streams
        self._connections, self._circumstances = connections, circumstances
        self._silent, self._drain, self._tell = silent, drain, tell
        self._cell_file, self._clock = cell_file, clock or MachineClock()
        self._disk = disk or DiskGuard(settings.directory, settings.disk_floor)
        self._intake = Intake(streams, settings.memory, settings.preroll)
        self.course = Course()
        self._lock = threading.Lock()
        self._writer: EpisodeWriter | None = None
        self._ledger: Ledger | None = None
        self._episode_id = ""
        self._last: Result | None = None
        self._asked: _Asked | None = None

    def push(self, items: list[Item]) -> None:
        """Take what has arrived."""
        self._intake.push(items)

    @property
    def last(self) -> Result | None:
        """The newest episode that is over."""
        return self._last

    @property
    def is_behind(self) -> bool:
        """Whether so much waits for the disk that messages may soon be dropped."""
        return self._writer is not None and self._intake.waiting > self._settings.memory // 2

    def snapshot(self) -> Snapshot:
        """Return what happens now."""
        writer, ledger = self._writer, self._ledger
        if writer is None or ledger is None:
            return Snapshot("idle", "", 0.0, 0, 0, self._disk.free, ())
        return Snapshot(
            "finishing" if writer.ending else "recording",
            self._episode_id,
            (self._clock.now() - ledger.begin) * 1e-9,
            writer.size,
            self._intake.waiting,
            self._disk.free,
            ledger.now(),
        )

    def start(self, wish: Wish) -> Future[Sidecar]:
        """Begin an episode; the answer comes when its file exists."""
        _check_text(wish.instruction, wish.operator, wish.notes, *wish.tags)
        with self._lock:
            writer = self._writer
            if writer is not None:
                if (answer := self._asked_before(wish)) is not None and not writer.ending:
                    return answer
                raise Refused(
                    f"the episode {self._episode_id} is being "
                    f"{'finished' if writer.ending else 'recorded: finish or discard it first'}"
                )
            self._check_start()
            writer = self._begin(wish)
            return self._answer(wish, _described(writer.begun))

    def finish(self, outcome: str, notes: str = "") -> Future[Result]:
        """End the episode and keep it; the answer comes when it is safe on the disk."""
        if outcome not in OUTCOMES:
            raise Refused(f"outcome: expected one of {', '.join(OUTCOMES)}, got {outcome!r}")
        _check_text(notes)
        request = ("finish", outcome, notes)
        with self._lock:
            if (answer := self._asked_before(request)) is not None:
                return answer
            writer = self._running()
            if writer is None:
                return self._answer(request, self._add_outcome(outcome, notes))
            self._stop(writer, End("operator", 0, outcome, notes))
            return self._answer(request, writer.done)

    def discard(self, reason: str) -> Future[Result]:
        """End the episode and throw it away."""
        _check_text(reason)
        request = ("discard", reason)
        with self._lock:
            if (answer := self._asked_before(request)) is not None:
                return answer
            writer = self._running()
            if writer is None:
                raise Refused("no episode is being recorded")
            self._stop(writer, End("operator", 0, notes=reason, discard=True))
            return self._answer(request, writer.done)

    def end(self, why: str = "shutdown") -> None:
        """End what is being recorded, because the recorder ends."""
        with self._lock:
            writer = self._writer
            if writer is not None and not writer.ending:
                self._stop(writer, End(why, 0))
        if writer is not None:
            writer.join()

    def _running(self) -> EpisodeWriter | None:
        """Return the writer of an episode that may be ended."""
        writer = self._writer
        if writer is not None and writer.ending:
            raise Refused(f"the episode {self._episode_id} is being finished")
        return writer

    def _asked_before(self, request: Hashable) -> Future[Any] | None:
        """Return the answer to the last request, if this is the same again."""
        asked = self._asked
        if asked is None or asked.request != request or time.monotonic() - asked.when > REPEATED:
            return None
        failed = asked.answer.done() and asked.answer.exception() is not None
        return None if failed else asked.answer

    def _answer(self, request: Hashable, answer: Future[Answer]) -> Future[Answer]:
        self._asked = _Asked(time.monotonic(), request, answer)
        return answer

    def _check_start(self) -> None:
        try:
            self._settings.directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Refused(f"{self._settings.directory}: {error.strerror}") from None
        if (incident := self._disk.may_begin()) is not None:
            self._tell(incident)
            raise Refused(incident.detail)
        if silent := self._silent():
            incident = Incident(
                "stream_silent",
                f"nothing comes on {', '.join(silent)}: start the driver, or correct the cell",
                subject=silent[0],
            )
            self._tell(incident)
            raise Refused(incident.detail)

    def _begin(self, wish: Wish) -> EpisodeWriter:
        circumstances = self._circumstances()
        begin = self._clock.now()
        folder = self._new_folder(circumstances.cell)
        sidecar = Sidecar(
            episode_id=folder.name,
            bag="",
            cell_file=self._cell_file.name if self._cell_file is not None else "",
            begin=begin,
            clock=self._clock.name,
            system_begin=time.time_ns(),
            wish=replace(wish, instruction=wish.instruction or circumstances.instruction),
            circumstances=circumstances,
        )
        ledger = Ledger(self._streams, begin)
        opening = partial(
            OpenEpisode,
            folder,
            sidecar,
            self._cell_file,
            ledger,
            self._connections,
            self._intake.written,
            self._settings.compression,
        )
        writer = EpisodeWriter(
            opening, folder, self._intake, ledger, self._disk, self._tell, self._clock.now
        )
        self._episode_id = folder.name
        self._writer, self._ledger = writer, ledger
        self.course.begin()
        self._intake.begin(ledger)
        writer.begun.add_done_callback(
            lambda begun: self._not_begun() if begun.exception() else None
        )
        writer.done.add_done_callback(self._over)
        writer.start()
        return writer

    def _stop(self, writer: EpisodeWriter, end: End) -> None:
        self._drain()  # what was sent before the request belongs to the episode
        at = self._clock.now()
        self._intake.end()
        writer.end(
            replace(
                end,
                at=at,
                interventions=self.course.interventions(at),
                instruction=self.course.instruction,
                circumstances=self._circumstances(),
            )
        )

    def _new_folder(self, cell: str) -> Path:
        name = f"{cell or 'episode'}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
        for number in range(1, 1000):
            folder = self._settings.directory / (name if number == 1 else f"{name}-{number}")
            try:
                folder.mkdir()
            except FileExistsError:
                continue
            except OSError as error:
                raise Refused(f"{folder} cannot be made: {error.strerror}") from None
            return folder
        raise Refused(f"{self._settings.directory}: a thousand episodes within a second")

    def _not_begun(self) -> None:
        self._intake.end()
        self._writer = self._ledger = None

    def _over(self, done: Future[Result]) -> None:
        self._last = None if done.exception() else done.result()
        self._intake.end()
        self._writer = self._ledger = None

    def _add_outcome(self, outcome: str, notes: str) -> Future[Result]:
        """Answer for an episode that had to end by itself before the operator ended it."""
        last = self._last
        if last is None or last.incident is None or not last.safe:
            raise Refused("no episode is being recorded")
        sidecar = replace(last.sidecar, outcome=outcome, closing_notes=notes)
        try:
            sidecar.save(last.folder)
        except OSError as error:
            raise Refused(f"{last.folder}: {error.strerror}") from None
        self._last = None  # once is enough
        return _done(replace(last, sidecar=sidecar))


@dataclass(frozen=True)
class _Asked:
    """The last request and its answer."""

    when: float  # s, monotonic
    request: Hashable
    answer: Future[Any]


def _done(result: Result) -> Future[Result]:
    future: Future[Result] = Future()
    future.set_result(result)
    return future


def _described(begun: Future[OpenEpisode]) -> Future[Sidecar]:
    """Return a future with the description of an episode that has begun."""
    future: Future[Sidecar] = Future()

    def pass_on(begun: Future[OpenEpisode]) -> None:
        error = begun.exception()
        if error is None:
            future.set_result(begun.result().sidecar)
        else:
            future.set_exception(Refused(f"the episode's files cannot be made: {error}"))

    begun.add_done_callback(pass_on)
    return future


def _check_text(*texts: str) -> None:
    for text in texts:
        if len(text) > LONGEST_TEXT:
            raise Refused(f"expected at most {LONGEST_TEXT} characters, got {len(text)}")
