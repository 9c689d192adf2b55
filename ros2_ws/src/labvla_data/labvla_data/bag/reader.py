"""Reads bags: raw messages in the order of their log times."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from types import TracebackType

from mcap.opcode import Opcode
from mcap.reader import make_reader
from mcap.records import ChunkIndex
from mcap.summary import Summary

from labvla_data.bag.chunks import RECORD, plain_chunk
from labvla_data.bag.errors import DAMAGE, BagError
from labvla_data.bag.mcap_file import MESSAGE_HEAD


@dataclass(frozen=True)
class BagMessage:
    """A message as the middleware sent it."""

    topic: str
    kind: str
    log_time: int  # ns, when it arrived
    publish_time: int  # ns, when it was sent
    sequence: int
    data: bytes | memoryview  # CDR with its encapsulation header


@dataclass(frozen=True)
class Topic:
    """A topic in a bag."""

    name: str
    kind: str
    messages: int


def mcap_of(bag: Path) -> Path:
    """Return the MCAP file of a bag, given its folder or the file itself."""
    if bag.is_file():
        return bag
    found = sorted(bag.glob("*.mcap"))
    if len(found) != 1:
        raise BagError(f"{bag}: expected a folder with one .mcap file, got {len(found)} of them")
    return found[0]


class BagReader:
    """An opened bag."""

    def __init__(self, bag: Path) -> None:
        self.path = mcap_of(bag)
        self._stream = self.path.open("rb")
        try:
            self._reader = make_reader(self._stream, validate_crcs=True)
            summary = self._reader.get_summary()
        except DAMAGE as error:
            self._stream.close()
            raise _damaged(self.path, error) from None
        if summary is None or summary.statistics is None:
            self._stream.close()
            raise _damaged(self.path, "it has no summary")
        if summary.statistics.message_count and not summary.chunk_indexes:
            self._stream.close()
            raise BagError(
                f"{self.path}: its messages are not in chunks; write it anew with chunks"
            )
        self._summary: Summary = summary

    def __enter__(self) -> BagReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stream.close()

    @property
    def topics(self) -> tuple[Topic, ...]:
        """What the bag holds, in the order in which it was announced."""
        statistics = self._summary.statistics
        counts = statistics.channel_message_counts if statistics else {}
        return tuple(
            Topic(c.topic, self._summary.schemas[c.schema_id].name, counts.get(c.id, 0))
            for c in self._summary.channels.values()
        )

    def definition(self, kind: str) -> str:
        """Return the text that describes a message type."""
        for schema in self._summary.schemas.values():
            if schema.name == kind:
                return schema.data.decode()
        raise BagError(f"{self.path}: expected the definition of {kind}, there is none")

    def messages(
        self,
        topics: Iterable[str] | None = None,
        begin: int | None = None,
        end: int | None = None,
        *,
        check: bool = True,
        copy: bool = True,
    ) -> Iterator[BagMessage]:
        """Return messages of some topics, or of all, from one log time until before another.

        Without `check` the checksums are believed; without `copy` the data of a message is a view
        that keeps its chunk in memory.
        """
        names = None if topics is None else frozenset(topics)
        wanted = {
            channel.id: (channel.topic, self._summary.schemas[channel.schema_id].name)
            for channel in self._summary.channels.values()
            if names is None or channel.topic in names
        }
        low, high = begin or 0, _LATEST if end is None else end
        try:
            for message in self._in_order(wanted, check, copy):
                if low <= message.log_time < high:
                    yield message
        except DAMAGE as error:
            raise _damaged(self.path, error) from None

    def _in_order(
        self, wanted: Mapping[int, tuple[str, str]], check: bool, copy: bool
    ) -> Iterator[BagMessage]:
        """Yield messages by log time; of two at one time the one that was written first."""
        chunks = sorted(
            (
                chunk
                for chunk in self._summary.chunk_indexes
                # A chunk without an index of its messages may hold anything.
                if not chunk.message_index_offsets or wanted.keys() & chunk.message_index_offsets
            ),
            key=lambda chunk: (chunk.message_start_time, chunk.chunk_start_offset),
        )
        waiting: list[BagMessage] = []
        for number, chunk in enumerate(chunks, 1):
            waiting += self._messages_of(chunk, wanted, check, copy)
            waiting.sort(key=_log_time)
            following = chunks[number].message_start_time if number < len(chunks) else _LATEST
            ready = bisect_left(waiting, following, key=_log_time)
            yield from waiting[:ready]
            del waiting[:ready]

    def _messages_of(
        self, chunk: ChunkIndex, wanted: Mapping[int, tuple[str, str]], check: bool, copy: bool
    ) -> Iterator[BagMessage]:
        self._stream.seek(chunk.chunk_start_offset + RECORD.size)
        plain = plain_chunk(self._stream.read(chunk.chunk_length - RECORD.size), check=check)
        at = 0
        while at < len(plain):
            opcode, length = RECORD.unpack_from(plain, at)
            after = at + RECORD.size + length
            if opcode == Opcode.MESSAGE:
                _, _, channel, number, log_time, sent = MESSAGE_HEAD.unpack_from(plain, at)
                if channel in wanted:
                    topic, kind = wanted[channel]
                    data = plain[at + MESSAGE_HEAD.size : after]
                    piece = bytes(data) if copy else data
                    yield BagMessage(topic, kind, log_time, sent, number, piece)
            at = after


_LATEST = 1 << 64  # no log time is as late
_log_time = attrgetter("log_time")


def _damaged(path: Path, why: object) -> BagError:
    return BagError(f"{path}: damaged or unfinished ({why}); try: labvla record --repair {path}")
