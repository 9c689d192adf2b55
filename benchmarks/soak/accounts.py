"""Holds what receivers say they got and lost against what was sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.node.segment import Received
from benchmarks.soak.stream import Stream


@dataclass(frozen=True)
class Account:
    """One topic at one receiver."""

    receiver: str
    topic: str
    sent: int  # by the publisher's own numbers
    received: int
    counted: int  # as lost, by the receiver
    never_sent: int  # of those: left out by the sender, by the witness's stamps
    refused: int = 0  # came, and could not be used

    @property
    def unaccounted(self) -> int:
        """Messages that did not come without being counted, or were counted and did come."""
        return abs(self.sent - self.received - (self.counted - self.never_sent))


def of_witness(topic: str, stream: Stream) -> Account:
    """Return the witness's own account: it knows what it lost by the numbers alone."""
    return Account("client", topic, stream.came + stream.lost, stream.came, stream.lost, 0)


def of_policy(
    topic: str, stream: Stream, rate: float, before: Received, after: Received, refused: int
) -> Account:
    """Compare what the policy node has counted between two of its reports."""
    return Account(
        "policy",
        topic,
        stream.sent(before.newest, after.newest),
        after.received - before.received,
        after.lost - before.lost,
        stream.never_sent(before.newest, after.newest, rate),
        refused,
    )


def of_recorder(topic: str, stream: Stream, entries: list[Mapping[str, Any]]) -> Account:
    """Compare the recorder's ledgers of some episodes; it tells apart what was never sent."""
    sent = sum(
        stream.sent(entry["first_stamp"], entry["last_stamp"]) + 1
        for entry in entries
        if entry["arrived"]
    )
    counted = sum(entry["lost_transport"] + entry["lost_writer"] for entry in entries)
    never_sent = sum(entry["lost_source"] for entry in entries)
    return Account(
        "recorder",
        topic,
        sent,
        sum(entry["written"] for entry in entries),
        counted + never_sent,
        never_sent,
    )
