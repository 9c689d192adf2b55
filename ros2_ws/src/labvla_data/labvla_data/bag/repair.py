"""Makes a bag that was cut off readable again.

What is whole is copied into a new file with a new index; the new file takes the place of the old
one when it is safe on the disk. A damaged chunk in the middle is left out, and counted.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from mcap.data_stream import ReadDataStream
from mcap.opcode import Opcode
from mcap.reader import make_reader
from mcap.records import Channel, Metadata, Schema

from labvla_data.bag import metadata
from labvla_data.bag.chunks import RECORD, plain_chunk
from labvla_data.bag.errors import DAMAGE, BagError
from labvla_data.bag.mcap_file import (
    MESSAGE_HEAD,
    Index,
    McapFile,
    Piece,
    message_index,
)
from labvla_data.bag.mcap_summary import MAGIC, Summary, encode
from labvla_data.bag.reader import mcap_of
from labvla_data.files import sync_folder

Progress = Callable[[int, int], None]  # bytes done, of

_FOOTER = struct.Struct("<QQI")
_FOOTER_RECORD = RECORD.size + _FOOTER.size
# What can be told from something else that has a checksum.
_TOLD_TWICE = (Opcode.SCHEMA, Opcode.CHANNEL, Opcode.MESSAGE_INDEX)
# What the new file has anyway, or has anew.
_MADE_ANEW = (Opcode.HEADER, Opcode.MESSAGE_INDEX)


@dataclass(frozen=True)
class Mended:
    """What a repair has kept."""

    path: Path
    summary: Summary
    kept_bytes: int
    cut_bytes: int  # of the old file: they held no sound record
    damaged_chunks: int  # left out


def nothing(_done: int, _of: int) -> None:
    """Show no progress."""


def is_whole(path: Path) -> bool:
    """Tell whether an MCAP file was ended as it should: cheap, looks at both ends alone."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            if size < 2 * len(MAGIC) + _FOOTER_RECORD:
                return False
            file.seek(0)
            head = file.read(len(MAGIC))
            at = size - len(MAGIC) - _FOOTER_RECORD
            file.seek(at)
            tail = file.read()
            opcode, _ = RECORD.unpack_from(tail)
            if head != MAGIC or tail[-len(MAGIC) :] != MAGIC or opcode != Opcode.FOOTER:
                return False
            start, _, checksum = _FOOTER.unpack_from(tail, RECORD.size)
            if not 0 < start <= at:
                return False
            file.seek(start)
            covered = file.read(at - start) + tail[: _FOOTER_RECORD - 4]
            return bool(checksum in (0, zlib.crc32(covered)))
    except OSError as error:
        raise BagError(f"{path}: {error.strerror}") from None


def is_sound(path: Path, progress: Progress = nothing) -> bool:
    """Tell whether everything in a file can be read: reads all of it."""
    if not is_whole(path):
        return False
    schemas, channels = _announced(path)
    sound: set[bytes] = {encode(record) for record in (*schemas, *channels)}
    size, opcode = path.stat().st_size, 0
    with path.open("rb") as file:
        for opcode, body, end in _records(file, size):
            progress(end, size)
            try:
                if opcode == Opcode.CHUNK:
                    index, _, _ = _examine(body)
                    sound |= {message_index(*entries) for entries in index.items()}
                elif opcode in _TOLD_TWICE and RECORD.pack(opcode, len(body)) + body not in sound:
                    return False
            except DAMAGE:
                return False
    return opcode == Opcode.DATA_END


@contextlib.contextmanager
def locked(path: Path) -> Iterator[BinaryIO]:
    """Open an MCAP file that nobody is writing."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise BagError(f"{path}: {error.strerror}") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BagError(f"{path}: it is being recorded: finish the episode first") from None
        yield file


def repair(bag: Path, progress: Progress = nothing) -> Mended:
    """Repair a bag, given its folder or its MCAP file; metadata.yaml is written anew."""
    path = mcap_of(bag)
    with locked(path) as old:
        fresh = path.with_name(f".{path.name}.repaired")
        try:
            mended = _copy(path, old, fresh, progress)
        except BaseException as error:
            with contextlib.suppress(OSError):
                fresh.unlink()
            if not isinstance(error, OSError):
                raise
            raise BagError(
                f"{path}: the repaired copy cannot be written ({error.strerror}); it needs "
                f"{os.fstat(old.fileno()).st_size / 1e6:.0f} MB. The bag was left as it is"
            ) from None
        fresh.replace(path)
        sync_folder(path.parent)
    _write_metadata(mended)
    return mended


def _write_metadata(mended: Mended) -> None:
    folder = mended.path.parent
    custom = metadata.custom_of(folder)
    metadata.content_of(mended.path.name, mended.summary, custom).save(folder)


def _announced(path: Path) -> tuple[list[Schema], list[Channel]]:
    """Return what the index of a whole file knows of its topics; it has a checksum."""
    if not is_whole(path):
        return [], []
    with path.open("rb") as file:
        summary = make_reader(file).get_summary()
    if summary is None:
        return [], []
    return list(summary.schemas.values()), list(summary.channels.values())


def _copy(path: Path, old: BinaryIO, fresh: Path, progress: Progress) -> Mended:
    size = os.fstat(old.fileno()).st_size
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        copier = _Copier(McapFile(descriptor))
        copier.announce(*_announced(path))
        copier.copy(old, size, progress)
        kept = copier.file.whole
        copier.file.finish()
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return Mended(path, copier.file.summary, kept, copier.cut, copier.damaged)


def _records(file: BinaryIO, size: int) -> Iterator[tuple[int, bytes, int]]:
    """Return opcode, body and end of the whole records, up to the one that ends the data."""
    if file.read(len(MAGIC)) != MAGIC:
        return
    end, opcode = len(MAGIC), 0
    while opcode != Opcode.DATA_END:
        head = file.read(RECORD.size)
        if len(head) < RECORD.size:
            return
        opcode, length = RECORD.unpack(head)
        end += RECORD.size + length
        if end > size:
            return
        yield opcode, file.read(length), end


class _Copier:
    """Copies the records of the data section that are sound."""

    def __init__(self, file: McapFile) -> None:
        self.file = file
        self.cut = 0  # bytes that could not be used
        self.damaged = 0  # chunks

    def copy(self, old: BinaryIO, size: int, progress: Progress) -> None:
        """Copy what a file of some size holds up to its index, or up to where it was cut off."""
        at = 0
        for opcode, body, end in _records(old, size):
            if opcode == Opcode.DATA_END:
                return
            if not self._take(opcode, body):
                self.cut += end - at
            at = end
            progress(at, size)
        self.cut += size - at

    def _take(self, opcode: int, body: bytes) -> bool:
        """Copy a record, if a reader could use it."""
        try:
            if opcode == Opcode.CHUNK:
                self._copy_chunk(body)
            elif opcode == Opcode.SCHEMA:
                self._announce_schema(_schema(body))
            elif opcode == Opcode.CHANNEL:
                self._announce_channel(_channel(body))
            elif opcode == Opcode.METADATA:
                record = Metadata.read(_stream(body))
                self.file.add_metadata(record.name, record.metadata)
            else:
                return opcode in _MADE_ANEW
        except DAMAGE:
            self.damaged += opcode == Opcode.CHUNK
            return False
        return True

    def announce(self, schemas: Iterable[Schema], channels: Iterable[Channel]) -> None:
        """Begin with what is known for certain."""
        by_id = {schema.id: schema for schema in schemas}
        for channel in channels:
            if channel.schema_id in by_id:
                self._announce_schema(by_id[channel.schema_id])
            self._announce_channel(channel)

    def _announce_schema(self, schema: Schema) -> None:
        schema.data.decode()
        if all(known.id != schema.id for known in self.file.summary.schemas):
            self.file.copy_schema(schema)

    def _announce_channel(self, channel: Channel) -> None:
        if all(known.id != channel.id for known in self.file.summary.channels):
            self.file.copy_channel(channel)

    def _copy_chunk(self, body: bytes) -> None:
        index, schemas, channels = _examine(body)
        summary = self.file.summary
        known = {channel.id for channel in (*summary.channels, *channels)}
        if not index.keys() <= known:
            raise LookupError("messages of a channel that was never announced")
        self.file.copy_chunk(body, index)
        summary.schemas.extend(schemas)
        summary.channels.extend(channels)


def _examine(body: bytes) -> tuple[Index, list[Schema], list[Channel]]:
    """Return what a chunk holds, or raise one of DAMAGE."""
    plain = plain_chunk(body)
    index: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    schemas, channels, at = [], [], 0
    while at < len(plain):
        opcode, length = RECORD.unpack_from(plain, at)
        if opcode == Opcode.MESSAGE:
            _, _, channel, _, log_time, _ = MESSAGE_HEAD.unpack_from(plain, at)
            index[channel].append((log_time, at))
        elif opcode == Opcode.SCHEMA:
            schemas.append(_schema(plain[at + RECORD.size :]))
        elif opcode == Opcode.CHANNEL:
            channels.append(_channel(plain[at + RECORD.size :]))
        at += RECORD.size + length
    return index, schemas, channels


def _stream(body: Piece) -> ReadDataStream:
    return ReadDataStream(BytesIO(body))


def _schema(body: Piece) -> Schema:
    schema: Schema = Schema.read(_stream(body))
    return schema


def _channel(body: Piece) -> Channel:
    channel: Channel = Channel.read(_stream(body))
    return channel
