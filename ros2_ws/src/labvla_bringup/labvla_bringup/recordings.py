"""Checks what the recorder says it has kept against what is in the bags."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rclpy.serialization import deserialize_message

from labvla_data.bag.reader import BagReader
from labvla_data.recording.sidecar import load
from labvla_data.recording.streams import CHUNKS
from labvla_msgs.msg import ActionChunk


@dataclass(frozen=True)
class Kept:
    """What the bags of some episodes hold."""

    chunks: frozenset[int]  # their sequence numbers
    as_told: bool  # every bag holds what its ledger says
    lost: dict[str, int]  # messages, by where they were lost

    def text(self) -> str:
        """Return the losses for people."""
        return ", ".join(f"{number} {where}" for where, number in self.lost.items())


def examine(bags: Iterable[Path]) -> Kept:
    """Read bags and their ledgers."""
    chunks: set[int] = set()
    as_told = True
    lost = {"on the way": 0, "never sent": 0, "by the writer": 0}
    for bag in bags:
        sidecar = load(bag)
        ledger = sidecar.ledger if sidecar else {}
        with BagReader(bag) as reader:
            held = {topic.name: topic.messages for topic in reader.topics}
            told = {topic: entry["written"] for topic, entry in ledger.items() if entry["written"]}
            as_told &= told == {topic: number for topic, number in held.items() if number}
            for message in reader.messages(
                t.name for t in reader.topics if t.name.endswith(CHUNKS)
            ):
                chunks.add(deserialize_message(message.data, ActionChunk).sequence)
        for entry in ledger.values():
            lost["on the way"] += entry["lost_transport"]
            lost["never sent"] += entry["lost_source"]
            lost["by the writer"] += entry["lost_writer"]
    return Kept(frozenset(chunks), as_told, lost)
