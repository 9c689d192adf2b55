"""The summary at the end of an MCAP file: what lets a reader find everything without searching."""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping

from mcap.data_stream import RecordBuilder
from mcap.opcode import Opcode
from mcap.records import (
    Channel,
    ChunkIndex,
    DataEnd,
    Footer,
    McapRecord,
    MetadataIndex,
    Schema,
    Statistics,
    SummaryOffset,
)

MAGIC = b"\x89MCAP0\r\n"


def encode(*records: McapRecord) -> bytes:
    """Return records as they stand in a file."""
    builder = RecordBuilder()
    for record in records:
        record.write(builder)
    return bytes(builder.end())


class Summary:
    """Collects what was written, and writes the end of the file."""

    def __init__(self) -> None:
        self.schemas: list[Schema] = []
        self.channels: list[Channel] = []
        self.counts: Counter[int] = Counter()  # messages, by channel
        self.begin = self.end = 0  # log times of the first and last message; 0 without any
        # As they will stand in the file: objects would take ten times as much, for hours.
        self._chunks = bytearray()
        self._chunk_count = 0
        self._metadata: list[MetadataIndex] = []

    @property
    def messages(self) -> int:
        """How many messages the file holds."""
        return self.counts.total()

    def add_chunk(self, index: ChunkIndex, counts: Mapping[int, int]) -> None:
        """Note a chunk."""
        first = self._chunk_count == 0
        begin, end = index.message_start_time, index.message_end_time
        self.begin = begin if first else min(self.begin, begin)
        self.end = end if first else max(self.end, end)
        self._chunks += encode(index)
        self._chunk_count += 1
        self.counts.update(counts)

    def add_metadata(self, index: MetadataIndex) -> None:
        """Note a metadata record."""
        self._metadata.append(index)

    def ending(self, at: int) -> bytes:
        """Return all that follows the data when the data end at an offset."""
        data_end = encode(DataEnd(data_section_crc=0))
        start = at + len(data_end)
        body = bytearray()
        offsets: list[SummaryOffset] = []
        for opcode, group in self._groups():
            if group:
                offsets.append(SummaryOffset(opcode, len(group), start + len(body)))
                body += group
        offset_start = start + len(body)
        body += encode(*offsets)
        # The checksum covers the summary and the footer up to the checksum itself.
        head = struct.pack("<BQQQ", Opcode.FOOTER, 20, start, offset_start)
        footer = Footer(
            summary_start=start,
            summary_offset_start=offset_start,
            summary_crc=zlib.crc32(head, zlib.crc32(body)),
        )
        return data_end + bytes(body) + encode(footer) + MAGIC

    def _groups(self) -> Iterable[tuple[Opcode, bytes]]:
        statistics = Statistics(
            attachment_count=0,
            channel_count=len(self.channels),
            channel_message_counts={c.id: self.counts[c.id] for c in self.channels},
            chunk_count=self._chunk_count,
            message_count=self.messages,
            message_start_time=self.begin,
            message_end_time=self.end,
            metadata_count=len(self._metadata),
            schema_count=len(self.schemas),
        )
        yield Opcode.SCHEMA, encode(*self.schemas)
        yield Opcode.CHANNEL, encode(*self.channels)
        yield Opcode.STATISTICS, encode(statistics)
        yield Opcode.CHUNK_INDEX, bytes(self._chunks)
        yield Opcode.METADATA_INDEX, encode(*self._metadata)
