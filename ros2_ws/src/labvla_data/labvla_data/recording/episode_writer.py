"""Writes one episode, on a thread of its own, and ends it whatever happens."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from labvla_data.recording.disk import DiskGuard
from labvla_data.recording.incidents import Incident
from labvla_data.recording.intake import Intake
from labvla_data.recording.ledger import Entry, Ledger
from labvla_data.recording.open_episode import End, OpenEpisode
from labvla_data.recording.sidecar import Sidecar

FLUSH_PERIOD = 0.5  # s: what a crash may cost, at most twice that
POLL = 0.02  # s between two looks at the intake

Tell = Callable[[Incident], None]


@dataclass(frozen=True)
class Result:
    """An episode that is over."""

    sidecar: Sidecar
    folder: Path
    path: Path
    entries: tuple[Entry, ...]
    incident: Incident | None = None  # what ended it, if nobody asked
    safe: bool = True  # otherwise its files could not be ended: they need a repair


class EpisodeWriter(threading.Thread):
    """Moves messages from the intake into the files until it is told to end, or has to."""

    def __init__(
        self,
        opening: Callable[[], OpenEpisode],
        folder: Path,
        intake: Intake,
        ledger: Ledger,
        disk: DiskGuard,
        tell: Tell,
        clock: Callable[[], int],
    ) -> None:
        """Write what `opening` opens, in a folder that is there already and empty."""
        super().__init__(name="episode_writer", daemon=True)
        self.begun: Future[OpenEpisode] = Future()
        self.done: Future[Result] = Future()
        self._opening, self._folder = opening, folder
        self._intake, self._ledger, self._disk = intake, ledger, disk
        self._tell, self._clock = tell, clock
        self._told: dict[str, int] = {}
        self._end: End | None = None
        self._wake = threading.Event()

    @property
    def size(self) -> int:
        """Bytes in the file."""
        opened = self.begun.done() and self.begun.exception() is None
        return self.begun.result().size if opened else 0

    @property
    def ending(self) -> bool:
        """Whether the end has begun."""
        return self._end is not None

    def end(self, end: End) -> None:
        """Ask for the end; `done` has the result. The first one who asks decides."""
        if self._end is None:
            self._end = end
        self._wake.set()

    def run(self) -> None:
        """Write the episode."""
        try:
            self._disk.reserve()
            episode = self._opening()
        except Exception as error:  # whoever waits must learn of it
            shutil.rmtree(self._folder, ignore_errors=True)
            self._disk.release()
            self.begun.set_exception(error)
            return
        self.begun.set_result(episode)
        try:
            self.done.set_result(self._close(episode, self._write_until_the_end(episode)))
        except Exception as error:  # likewise; the files can be repaired
            self.done.set_exception(error)

    def _write_until_the_end(self, episode: OpenEpisode) -> Incident | None:
        """Return why the episode had to end; None if somebody asked for it."""
        syncer = Syncer(episode)
        syncer.start()
        due = time.monotonic() + FLUSH_PERIOD
        try:
            while self._end is None:
                self._wake.wait(POLL)
                episode.write(self._intake.take())
                if time.monotonic() >= due:
                    due = time.monotonic() + FLUSH_PERIOD
                    episode.flush()
                    syncer.request()
                    self._tell_losses()
                    if (incident := syncer.failure or self._disk.may_go_on()) is not None:
                        return incident
            episode.write(self._intake.take())
            episode.flush()
        except OSError as error:
            return write_failed(self._folder, error)
        finally:
            syncer.end()
        return syncer.failure

    def _tell_losses(self) -> None:
        """Tell of a loss when it begins and whenever it has doubled."""
        for tally in self._ledger.tallies:
            topic, lost = tally.stream.topic, tally.transport + tally.source
            if self._is_news(topic, lost):
                self._tell(_messages_lost(topic, tally.transport, tally.source))
        dropped = sum(tally.dropped for tally in self._ledger.tallies)
        if self._is_news("", dropped):
            self._tell(_writer_behind(dropped, self._intake.waiting))

    def _is_news(self, what: str, lost: int) -> bool:
        if not lost or lost < 2 * self._told.get(what, 0):
            return False
        self._told[what] = lost
        return True

    def _close(self, episode: OpenEpisode, incident: Incident | None) -> Result:
        if self._end is None:
            assert incident is not None
            self._end = End(incident.reason, self._clock())
        self._intake.end()
        self._disk.release()
        if self._end.discard:
            episode.discard()
            return Result(episode.sidecar, self._folder, episode.path, ())
        if incident is not None:
            self._tell(incident)
        try:
            entries = episode.finish(self._end)
        except OSError as error:
            incident = write_failed(self._folder, error)
            self._tell(incident)
            entries = self._ledger.closed(self._end.at)
            return Result(
                episode.sidecar, self._folder, episode.path, entries, incident, safe=False
            )
        return Result(episode.sidecar, self._folder, episode.path, entries, incident)


class Syncer(threading.Thread):
    """Waits for the disk in the writer's place: a slow disk must not hold up the next chunk."""

    def __init__(self, episode: OpenEpisode) -> None:
        super().__init__(name="syncer", daemon=True)
        self._episode = episode
        self._asked = threading.Event()
        self._ending = False
        self.failure: Incident | None = None

    def request(self) -> None:
        """Make safe what has been flushed."""
        self._asked.set()

    def end(self) -> None:
        """End the thread."""
        self._ending = True
        self._asked.set()
        self.join()

    def run(self) -> None:
        """Sync whenever asked."""
        while True:
            self._asked.wait()
            self._asked.clear()
            if self._ending or self.failure is not None:
                return
            try:
                self._episode.make_safe()
            except OSError as error:
                self.failure = write_failed(self._episode.folder, error)


def write_failed(folder: Path, error: OSError) -> Incident:
    """Return what a failed write means."""
    return Incident("write_failed", f"{folder}: {error.strerror or error}", subject=folder.name)


def _messages_lost(topic: str, transport: int, source: int) -> Incident:
    return Incident(
        "messages_lost",
        f"{topic}: {transport} lost on the way and {source} never sent since the episode began",
        subject=topic,
        value=float(transport + source),
    )


def _writer_behind(dropped: int, waiting: int) -> Incident:
    return Incident(
        "writer_behind",
        f"{dropped} messages dropped since the episode began; {waiting / 1e6:.0f} MB wait",
        value=float(dropped),
    )
