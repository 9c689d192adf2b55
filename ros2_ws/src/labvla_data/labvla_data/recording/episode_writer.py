"""Writes one episode, on a thread of its own, and ends it whatever happens."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path

from labvla_data.bag.connection import Connection
from labvla_data.bag.mcap_file import Compression
from labvla_data.bag.writer import BagWriter
from labvla_data.recording import sidecar as sidecars
from labvla_data.recording.disk import DiskGuard
from labvla_data.recording.incidents import Incident
from labvla_data.recording.intake import Intake
from labvla_data.recording.ledger import Entry, Ledger, as_json
from labvla_data.recording.sidecar import Sidecar

CHUNK = 4_000_000  # bytes: a reader takes a chunk at a time
FLUSH_PERIOD = 0.5  # s: what a crash may cost, at most twice that
POLL = 0.02  # s between two looks at the intake

# The connection of a stream by its index; None as long as nobody publishes it.
Connections = Callable[[int], Connection | None]
Tell = Callable[[Incident], None]


@dataclass(frozen=True)
class End:
    """How an episode is to be ended."""

    by: str
    at: int  # ns
    outcome: str = "unknown"
    notes: str = ""
    interventions: tuple[sidecars.Intervention, ...] = ()
    instruction: str = ""  # the first one of the episode
    circumstances: sidecars.Circumstances | None = None
    discard: bool = False


@dataclass(frozen=True)
class Result:
    """An episode that is safe on the disk, or gone if it was discarded."""

    sidecar: Sidecar
    folder: Path
    path: Path
    entries: tuple[Entry, ...]
    incident: Incident | None = None  # what ended it, if nobody asked


class EpisodeWriter(threading.Thread):
    """Moves messages from the intake into a bag until it is told to end, or has to."""

    def __init__(
        self,
        folder: Path,
        sidecar: Sidecar,
        cell_file: Path | None,
        intake: Intake,
        ledger: Ledger,
        connections: Connections,
        disk: DiskGuard,
        tell: Tell,
        clock: Callable[[], int],
        compression: Compression = "none",
    ) -> None:
        super().__init__(name="episode_writer", daemon=True)
        self.begun: Future[None] = Future()
        self.done: Future[Result] = Future()
        self._folder, self._sidecar, self._cell_file = folder, sidecar, cell_file
        self._intake, self._ledger, self._connections = intake, ledger, connections
        self._disk, self._tell, self._clock = disk, tell, clock
        self._compression = compression
        self._channels: dict[int, int] = {}
        self._unwritten = 0  # bytes in the chunk in progress
        self._told: dict[str, int] = {}
        self._end: End | None = None
        self._wake = threading.Event()

    @property
    def sidecar(self) -> Sidecar:
        """The episode as its file describes it now."""
        return self._sidecar

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return self._bag.size if self.begun.done() and not self.begun.exception() else 0

    def end(self, end: End) -> None:
        """Ask for the end; `done` has the result. The first one who asks decides."""
        if self._end is None:
            self._end = end
        self._wake.set()

    @property
    def ending(self) -> bool:
        """Whether the end has begun."""
        return self._end is not None

    def run(self) -> None:
        """Write the episode."""
        try:
            self._open()
        except OSError as error:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._disk.release()
            self.begun.set_exception(error)
            return
        self.begun.set_result(None)
        try:
            self.done.set_result(self._close(self._write_until_the_end()))
        except Exception as error:  # whoever waits must learn of it; the bag can be repaired
            self.done.set_exception(error)

    def _open(self) -> None:
        self._disk.reserve()
        custom = {"labvla_episode": self._sidecar.episode_id}
        self._bag = BagWriter(self._folder, self._compression, custom)
        self._sidecar = replace(
            self._sidecar, bag=self._bag.path.name, ledger=as_json(self._ledger.now())
        )
        self._sidecar.save(self._folder)
        if self._cell_file is not None:
            shutil.copyfile(self._cell_file, self._folder / sidecars.CELL_FILE)
        for stream in range(len(self._ledger.streams)):
            self._channel(stream)

    def _write_until_the_end(self) -> Incident | None:
        """Return why the episode had to end; None if somebody asked for it."""
        syncer = Syncer(self._bag, self._note_what_is_safe)
        syncer.start()
        due = time.monotonic() + FLUSH_PERIOD
        try:
            while self._end is None:
                self._wake.wait(POLL)
                self._write()
                if time.monotonic() >= due:
                    due = time.monotonic() + FLUSH_PERIOD
                    arrived = self._clock()
                    self._flush()
                    syncer.request(arrived)
                    self._tell_losses()
                    if (incident := syncer.failure or self._disk.may_go_on()) is not None:
                        return incident
            self._write()
            self._flush()
        except OSError as error:
            return write_failed(self._folder, error)
        finally:
            syncer.end()
        return syncer.failure

    def _write(self) -> None:
        for item in self._intake.take():
            channel = self._channel(item.stream)
            if channel is None:
                continue  # its publisher is gone and was never described: counted as not written
            self._bag.add(channel, item.number, item.arrival, item.published, item.data)
            self._unwritten += len(item.data)
            if self._bag.waiting >= CHUNK:
                self._flush()

    def _flush(self) -> None:
        self._bag.flush()
        self._intake.written(self._unwritten)
        self._unwritten = 0
        for stream, channel in self._channels.items():
            self._ledger.tallies[stream].written = self._bag.written(channel)

    def _channel(self, stream: int) -> int | None:
        """Return the channel of a stream; it is announced as soon as somebody publishes it."""
        channel = self._channels.get(stream)
        if channel is None and (connection := self._connections(stream)) is not None:
            channel = self._channels[stream] = self._bag.add_connection(connection)
        return channel

    def _note_what_is_safe(self, until: int) -> None:
        self._sidecar = replace(self._sidecar, safe_until=until, ledger=as_json(self._ledger.now()))
        self._sidecar.save(self._folder)

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

    def _close(self, incident: Incident | None) -> Result:
        if self._end is None:
            assert incident is not None
            self._end = End(incident.reason, self._clock())
        self._intake.end()
        end = self._end
        self._disk.release()
        if end.discard:
            self._bag.close()
            shutil.rmtree(self._folder)
            return Result(self._sidecar, self._folder, self._bag.path, ())
        if incident is not None:
            self._tell(incident)
        finished = self._finish(end)
        incident = incident or finished
        return Result(
            self._sidecar, self._folder, self._bag.path, self._ledger.closed(end.at), incident
        )

    def _finish(self, end: End) -> Incident | None:
        """End file and sidecar; return what prevented it. What is left then can be repaired."""
        try:
            self._bag.cut()
            closed = as_json(self._ledger.closed(end.at))
            finished = self._sidecar.completed(end.instruction, end.circumstances).ended(
                end.at,
                end.by,
                outcome=end.outcome,
                closing_notes=end.notes,
                safe_until=end.at,
                ledger=closed,
                interventions=end.interventions,
            )
            self._bag.add_metadata("labvla_episode", {"json": finished.text()})
            self._bag.finish()
            finished.save(self._folder)
            self._sidecar = finished
        except OSError as error:
            incident = write_failed(self._folder, error)
            self._tell(incident)
            return incident
        finally:
            self._bag.close()
        return None


class Syncer(threading.Thread):
    """Waits for the disk in the writer's place: a slow disk must not hold up the next chunk."""

    def __init__(self, bag: BagWriter, synced: Callable[[int], None]) -> None:
        super().__init__(name="syncer", daemon=True)
        self._bag, self._synced = bag, synced
        self._until: int | None = None
        self._asked = threading.Event()
        self._ending = False
        self.failure: Incident | None = None

    def request(self, until: int) -> None:
        """Make safe what has been flushed: all that arrived until a time."""
        self._until = until
        self._asked.set()

    def end(self) -> None:
        """End the thread."""
        self._ending = True
        self._asked.set()
        self.join()

    def run(self) -> None:
        """Sync whenever asked."""
        while not self._ending:
            self._asked.wait()
            self._asked.clear()
            until, self._until = self._until, None
            if until is None or self.failure is not None:
                continue
            try:
                self._bag.sync()
                self._synced(until)
            except OSError as error:
                self.failure = write_failed(self._bag.folder, error)


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
