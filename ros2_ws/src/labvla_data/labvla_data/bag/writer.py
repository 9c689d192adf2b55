"""Writes a bag: an MCAP file and metadata.yaml in a folder of their own."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping
from pathlib import Path

from labvla_data.bag import metadata
from labvla_data.bag.connection import Connection
from labvla_data.bag.mcap_file import Compression, McapFile, Piece
from labvla_data.files import sync_folder


class BagWriter:
    """A bag in the making.

    The MCAP file is locked for as long as it grows: who repairs bags leaves it alone.
    """

    def __init__(
        self,
        folder: Path,
        compression: Compression = "none",
        custom: Mapping[str, str] | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.path = folder / f"{folder.name}_0.mcap"
        self._custom = dict(custom or {})
        # Under its own name it is never seen unlocked, or a repair might take it for a broken one.
        hidden = folder / f".{self.path.name}.new"
        self._descriptor = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            hidden.rename(self.path)
            self._file = McapFile(self._descriptor, compression)
            self._write_metadata()
            sync_folder(folder.parent)
        except OSError:
            os.close(self._descriptor)
            raise

    @property
    def messages(self) -> int:
        """Messages in whole chunks."""
        return self._file.summary.messages

    def written(self, channel: int) -> int:
        """Messages of one topic in whole chunks."""
        return self._file.summary.counts[channel]

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return self._file.whole

    @property
    def waiting(self) -> int:
        """Bytes of the chunk in progress."""
        return self._file.waiting

    def add_connection(self, connection: Connection) -> int:
        """Announce a topic; return the number that its messages carry."""
        offered = metadata.channel_metadata(connection.type_hash, connection.offered)
        return self._file.add_channel(
            connection.topic, connection.kind, connection.definition, offered
        )

    def add(
        self, channel: int, sequence: int, log_time: int, publish_time: int, data: Piece
    ) -> None:
        """Add a message to the chunk in progress."""
        self._file.add(channel, sequence, log_time, publish_time, data)

    def flush(self) -> None:
        """Hand the chunk in progress to the kernel: from here on it survives this process."""
        self._file.flush()

    def sync(self) -> None:
        """Wait until what was flushed survives a power cut. May run beside everything else."""
        os.fdatasync(self._descriptor)

    def add_metadata(self, name: str, values: Mapping[str, str]) -> None:
        """Write texts into the MCAP file, so that it explains itself without its folder."""
        self._file.add_metadata(name, values)

    def finish(self) -> None:
        """End the bag; on return it is safe on the disk."""
        self._file.finish()
        os.fsync(self._descriptor)
        self._write_metadata()

    def cut(self) -> None:
        """Give up the chunk in progress and the rest of a failed write."""
        self._file.cut()

    def close(self) -> None:
        """Let go of the file, finished or not."""
        os.close(self._descriptor)

    def _write_metadata(self) -> None:
        metadata.content_of(self.path.name, self._file.summary, self._custom).save(self.folder)
