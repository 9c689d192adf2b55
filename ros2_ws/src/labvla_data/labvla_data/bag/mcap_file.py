"""Writes an MCAP file that can be cut off anywhere and loses at most the chunk in progress.

Messages are gathered without being copied and handed to the kernel chunk by chunk. Every byte that
was written is a whole record, except the last write before a crash or a full disk: `whole` says
where that one began.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, get_args

import lz4.frame
import zstandard
from mcap.opcode import Opcode
from mcap.records import Channel, ChunkIndex, Header, Metadata, MetadataIndex, Schema

from labvla_data.bag.mcap_summary import MAGIC, Summary, encode

Compression = Literal["none", "lz4", "zstd"]
COMPRESSIONS: tuple[Compression, ...] = get_args(Compression)
Piece = bytes | bytearray | memoryview
# The messages of a chunk by channel: log time and offset in the uncompressed chunk.
Index = Mapping[int, Sequence[tuple[int, int]]]

PROFILE = "ros2"
LIBRARY = "labvla_data"
MESSAGE_HEAD = struct.Struct("<BQHIQQ")  # opcode, length, channel, sequence, log and publish time
_MESSAGE_FIELDS = 22  # bytes of a message record before its data
CHUNK_SIZES = struct.Struct("<QQQI")  # begin, end, uncompressed size, checksum
_INDEX_HEAD = struct.Struct("<BQHI")  # opcode, length, channel, bytes of entries
_INDEX_ENTRY = struct.Struct("<QQ")  # log time, offset in the chunk
_MOST_PIECES = 1000  # the kernel takes 1024 at once

_COMPRESS: dict[Compression, Callable[[bytes], bytes]] = {
    "lz4": lz4.frame.compress,
    # Level 1: pictures hardly shrink at higher ones, and the recorder shares the machine.
    "zstd": lambda data: zstandard.ZstdCompressor(level=1).compress(data),
}


class McapFile:
    """A file in the making, at the end of an open descriptor."""

    def __init__(self, descriptor: int, compression: Compression = "none") -> None:
        self._descriptor = descriptor
        self._compression = compression
        self._summary = Summary()
        self._schemas: dict[tuple[str, bytes], int] = {}
        self._pieces: list[Piece] = []
        self._index: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
        self._size = 0  # bytes of the chunk in progress
        self._begin = self._end = 0
        self.whole = 0  # bytes of whole records in the file
        self._write([MAGIC, encode(Header(library=LIBRARY, profile=PROFILE))])

    @property
    def summary(self) -> Summary:
        """What the file holds, without the chunk in progress."""
        return self._summary

    @property
    def waiting(self) -> int:
        """Bytes of the chunk in progress."""
        return self._size

    def add_channel(
        self, topic: str, kind: str, definition: str, metadata: Mapping[str, str]
    ) -> int:
        """Announce a topic; return the number of its channel."""
        text = definition.encode()
        schema = self._schemas.get((kind, text))
        if schema is None:
            schema = len(self._summary.schemas) + 1
            self.copy_schema(Schema(id=schema, name=kind, encoding="ros2msg", data=text))
        channel = Channel(
            id=len(self._summary.channels) + 1,
            topic=topic,
            message_encoding="cdr",
            metadata=dict(metadata),
            schema_id=schema,
        )
        self.copy_channel(channel)
        return channel.id

    def copy_schema(self, schema: Schema) -> None:
        """Write a schema as it is."""
        self._write([encode(schema)])
        self._summary.schemas.append(schema)
        self._schemas[schema.name, schema.data] = schema.id

    def copy_channel(self, channel: Channel) -> None:
        """Write a channel as it is."""
        self._write([encode(channel)])
        self._summary.channels.append(channel)

    def add(
        self, channel: int, sequence: int, log_time: int, publish_time: int, data: Piece
    ) -> None:
        """Add a message to the chunk in progress. Its data must not change any more."""
        length = len(data) + _MESSAGE_FIELDS
        head = MESSAGE_HEAD.pack(
            Opcode.MESSAGE, length, channel, sequence & 0xFFFFFFFF, log_time, publish_time
        )
        if not self._pieces:
            self._begin = self._end = log_time
        self._begin, self._end = min(self._begin, log_time), max(self._end, log_time)
        self._index[channel].append((log_time, self._size))
        self._pieces += (head, data)
        self._size += 9 + length

    def flush(self) -> None:
        """Write the chunk in progress, if it holds anything."""
        if not self._pieces:
            return
        pieces, size, index = self._pieces, self._size, self._index
        checksum = 0
        for piece in pieces:
            checksum = zlib.crc32(piece, checksum)
        if self._compression != "none":
            pieces = [_COMPRESS[self._compression](b"".join(pieces))]
        sizes = CHUNK_SIZES.pack(self._begin, self._end, size, checksum)
        name = self._compression if self._compression != "none" else ""
        self._write_chunk(sizes, name, pieces, index, (self._begin, self._end, size))
        self._pieces, self._size, self._index = [], 0, defaultdict(list)

    def copy_chunk(self, body: Piece, index: Index) -> None:
        """Write the body of a chunk record as it is, with an index of its messages."""
        begin, end, size, _ = CHUNK_SIZES.unpack_from(body)
        name, data = chunk_data(body)
        sizes = bytes(body[: CHUNK_SIZES.size])
        self._write_chunk(sizes, name, [data], index, (begin, end, size))

    def add_metadata(self, name: str, values: Mapping[str, str]) -> None:
        """Write texts by name."""
        at, record = self.whole, encode(Metadata(name=name, metadata=dict(values)))
        self._write([record])
        self._summary.add_metadata(MetadataIndex(offset=at, length=len(record), name=name))

    def finish(self) -> None:
        """Write the end of the file."""
        self.flush()
        self._write([self._summary.ending(self.whole)])

    def cut(self) -> None:
        """Give up the chunk in progress and what a failed write has left of it."""
        self._pieces, self._size, self._index = [], 0, defaultdict(list)
        os.ftruncate(self._descriptor, self.whole)
        os.lseek(self._descriptor, self.whole, os.SEEK_SET)

    def _write_chunk(
        self,
        sizes: bytes,
        compression: str,
        pieces: Sequence[Piece],
        index: Index,
        span: tuple[int, int, int],
    ) -> None:
        stored = sum(map(len, pieces))
        name = compression.encode()
        tail = struct.pack(f"<I{len(name)}sQ", len(name), name, stored)
        length = len(sizes) + len(tail) + stored
        head = struct.pack("<BQ", Opcode.CHUNK, length) + sizes + tail
        start, offset = self.whole, self.whole + 9 + length
        offsets, records = {}, bytearray()
        for channel, entries in index.items():
            offsets[channel] = offset + len(records)
            records += message_index(channel, entries)
        self._write([head, *pieces, records])
        begin, end, size = span
        self._summary.add_chunk(
            ChunkIndex(
                chunk_length=9 + length,
                chunk_start_offset=start,
                compression=compression,
                compressed_size=stored,
                message_end_time=end,
                message_index_length=len(records),
                message_index_offsets=offsets,
                message_start_time=begin,
                uncompressed_size=size,
            ),
            {channel: len(entries) for channel, entries in index.items()},
        )

    def _write(self, pieces: Sequence[Piece]) -> None:
        for first in range(0, len(pieces), _MOST_PIECES):
            _write_all(self._descriptor, pieces[first : first + _MOST_PIECES])
        self.whole += sum(map(len, pieces))


def chunk_data(body: Piece) -> tuple[str, memoryview]:
    """Return how a chunk is compressed, and its compressed bytes."""
    at = CHUNK_SIZES.size
    (letters,) = struct.unpack_from("<I", body, at)
    name = bytes(body[at + 4 : at + 4 + letters]).decode()
    (stored,) = struct.unpack_from("<Q", body, at + 4 + letters)
    begin = at + 4 + letters + 8
    return name, memoryview(body)[begin : begin + stored]


def message_index(channel: int, entries: Sequence[tuple[int, int]]) -> bytes:
    """Return the record that says where a chunk has the messages of a channel."""
    size = len(entries) * _INDEX_ENTRY.size
    head = _INDEX_HEAD.pack(Opcode.MESSAGE_INDEX, 6 + size, channel, size)
    return head + b"".join(_INDEX_ENTRY.pack(*entry) for entry in entries)


def _write_all(descriptor: int, pieces: Sequence[Piece]) -> None:
    """Write everything; the kernel may take a part at a time."""
    left = [memoryview(piece) for piece in pieces if len(piece)]
    total = sum(map(len, left))
    while left:
        done = os.writev(descriptor, left)
        if done == total:  # nearly always
            return
        total -= done
        while left and done >= len(left[0]):
            done -= len(left.pop(0))
        if left:
            left[0] = left[0][done:]
