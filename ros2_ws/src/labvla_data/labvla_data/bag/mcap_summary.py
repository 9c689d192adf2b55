"""The summary at the end of an MCAP file: what lets a reader find everything without searching."""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from collections.abc import Iterable

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
        self._chunks: list[ChunkIndex] = []
        self._metadata: list[MetadataIndex] = []

    @property
    def messages(self) -> int:
        """How many messages the file holds."""
        return self.counts.total()

    @property
    def begin(self) -> int:
        """Log time of the first message; 0 without messages."""
        return min((chunk.message_start_time for chunk in self._chunks), default=0)

    @property
    def end(self) -> int:
        """Log time of the last message; 0 without messages."""
        return max((chunk.message_end_time for chunk in self._chunks), default=0)

    def add_chunk(self, index: ChunkIndex, counts: Counter[int]) -> None:
        """Note a chunk."""
        self._chunks.append(index)
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
        for opcode, records in self._groups():
            group = encode(*records)
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

    def _groups(self) -> Iterable[tuple[Opcode, list[McapRecord]]]:
        statistics = Statistics(
            attachment_count=0,
            channel_count=len(self.channels),
            channel_message_counts={c.id: self.counts[c.id] for c in self.channels},
            chunk_count=len(self._chunks),
            message_count=self.messages,
            message_start_time=self.begin,
            message_end_time=self.end,
            metadata_count=len(self._metadata),
            schema_count=len(self.schemas),
        )
        yield Opcode.SCHEMA, list(self.schemas)
        yield Opcode.CHANNEL, list(self.channels)
        yield Opcode.STATISTICS, [statistics]
        yield Opcode.CHUNK_INDEX, list(self._chunks)
        yield Opcode.METADATA_INDEX, list(self._metadata)
