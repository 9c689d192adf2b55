"""The files of an episode while it is being recorded."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from labvla_data.bag.connection import Connection
from labvla_data.bag.mcap_file import Compression
from labvla_data.bag.writer import BagWriter
from labvla_data.recording.intake import Item
from labvla_data.recording.ledger import Entry, Ledger, as_json
from labvla_data.recording.sidecar import Circumstances, Intervention, Sidecar

CHUNK = 4_000_000  # bytes: a reader takes a chunk at a time

# The connection of a stream by its index; None as long as nobody publishes it.
Connections = Callable[[int], Connection | None]


@dataclass(frozen=True)
class End:
    """How an episode is to be ended."""

    by: str
    at: int  # ns
    outcome: str = "unknown"
    notes: str = ""
    interventions: tuple[Intervention, ...] = ()
    instruction: str = ""  # the first one of the episode
    circumstances: Circumstances | None = None
    discard: bool = False


class OpenEpisode:
    """A bag, its description and its ledger, which agree with each other."""

    def __init__(
        self,
        folder: Path,
        sidecar: Sidecar,
        cell_file: Path | None,
        ledger: Ledger,
        connections: Connections,
        written: Callable[[int], None],
        compression: Compression = "none",
    ) -> None:
        """Create the files; `written` learns how many bytes of messages have left the memory."""
        self.folder = folder
        self._ledger, self._connections, self._written = ledger, connections, written
        self._channels: dict[int, int] = {}
        self._unwritten = 0  # bytes of messages in the chunk in progress
        self._newest = sidecar.begin  # arrival of the newest message in the chunk in progress
        self._flushed_until = sidecar.begin
        self._bag = BagWriter(folder, compression, {"labvla_episode": sidecar.episode_id})
        self.sidecar = replace(sidecar, bag=self.path.name, ledger=as_json(ledger.now()))
        try:
            self.sidecar.save(folder)
            if cell_file is not None:
                # Under its own name: that is how a cell is loaded.
                shutil.copyfile(cell_file, folder / cell_file.name)
            for stream in range(len(ledger.streams)):
                self._channel(stream)
        except BaseException:
            self._bag.close()
            raise

    @property
    def path(self) -> Path:
        """The MCAP file."""
        return self._bag.path

    @property
    def size(self) -> int:
        """Bytes in the MCAP file."""
        return self._bag.size

    def write(self, items: Iterable[Item]) -> None:
        """Add messages to the chunk in progress; full chunks go to the kernel."""
        for item in items:
            channel = self._channel(item.stream)
            if channel is None:
                continue  # nobody has described it: the ledger counts it as not written
            self._bag.add(channel, item.number, item.arrival, item.published, item.data)
            self._unwritten += len(item.data)
            self._newest = max(self._newest, item.arrival)
            if self._bag.waiting >= CHUNK:
                self.flush()

    def flush(self) -> None:
        """Hand the chunk in progress to the kernel."""
        self._bag.flush()
        self._written(self._unwritten)
        self._unwritten = 0
        self._flushed_until = self._newest
        for stream, channel in self._channels.items():
            self._ledger.tallies[stream].written = self._bag.written(channel)

    def make_safe(self) -> None:
        """Wait until what was flushed is on the disk, and write down that it is."""
        until = self._flushed_until
        self._bag.sync()
        self.sidecar = replace(self.sidecar, safe_until=until, ledger=as_json(self._ledger.now()))
        self.sidecar.save(self.folder)

    def finish(self, end: End) -> tuple[Entry, ...]:
        """End the files with what was flushed; on return they are safe.

        After an OSError the bag is as after a crash: a repair makes it readable.
        """
        entries = self._ledger.closed(end.at)
        finished = self.sidecar.completed(end.instruction, end.circumstances).ended(
            end.at,
            end.by,
            outcome=end.outcome,
            closing_notes=end.notes,
            safe_until=end.at,
            ledger=as_json(entries),
            interventions=end.interventions,
            system_end=time.time_ns(),
        )
        try:
            self._bag.cut()
            self._bag.add_metadata("labvla_episode", {"json": finished.text()})
            self._bag.finish()
            finished.save(self.folder)
        finally:
            self._bag.close()
        self.sidecar = finished
        return entries

    def discard(self) -> None:
        """Throw everything away."""
        self._bag.close()
        shutil.rmtree(self.folder)

    def _channel(self, stream: int) -> int | None:
        """Return the channel of a stream; it is announced as soon as somebody publishes it."""
        channel = self._channels.get(stream)
        if channel is None and (connection := self._connections(stream)) is not None:
            channel = self._channels[stream] = self._bag.add_connection(connection)
        return channel
