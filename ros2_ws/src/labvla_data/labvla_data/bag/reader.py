"""Reads bags: raw messages in the order of their log times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from mcap.reader import make_reader
from mcap.summary import Summary

from labvla_data.bag.errors import DAMAGE, BagError


@dataclass(frozen=True)
class BagMessage:
    """A message as the middleware sent it."""

    topic: str
    kind: str
    log_time: int  # ns, when it arrived
    publish_time: int  # ns, when it was sent
    sequence: int
    data: bytes  # CDR with its encapsulation header


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
        self, topics: Iterable[str] | None = None, begin: int | None = None, end: int | None = None
    ) -> Iterator[BagMessage]:
        """Return messages of some topics, or of all, from one log time until before another."""
        wanted = None if topics is None else list(topics)
        found = self._reader.iter_messages(wanted, starting_at=begin, ending_before=end)
        try:
            for schema, channel, message in found:
                yield BagMessage(
                    channel.topic,
                    schema.name if schema else "",
                    message.log_time,
                    message.publish_time,
                    message.sequence,
                    message.data,
                )
        except DAMAGE as error:
            raise _damaged(self.path, error) from None


def _damaged(path: Path, why: object) -> BagError:
    return BagError(f"{path}: damaged or unfinished ({why}); try: labvla record --repair {path}")
