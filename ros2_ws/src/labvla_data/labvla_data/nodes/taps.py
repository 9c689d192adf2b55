"""Takes serialised messages from the middleware, with the middleware's own facts about each.

No executor is involved: rclpy's would call back for every message, and it hides what the ledger
needs, namely who sent a message and under which number. A thread asks every subscription in turn
instead; a message waits for 5 ms at most, in a queue that the middleware keeps anyway.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription

from labvla_data.bag.connection import Connection
from labvla_data.bag.definitions import definition
from labvla_data.bag.metadata import Qos
from labvla_data.recording.audit import Audit
from labvla_data.recording.clocks import EpisodeClock
from labvla_data.recording.intake import Item
from labvla_data.recording.streams import Stream
from labvla_policy.runtime.refusal import Refused
from labvla_policy.runtime.streams import cdr
from labvla_policy.runtime.types import NANOSECONDS

PERIOD = 0.005  # s between two rounds
DISCOVERY_PERIOD = 0.5  # s between two looks for publishers
# What the middleware keeps while this process is held up: a second of states, of pictures less.
DEPTH, DEPTH_OF_PICTURES = 1000, 30
SILENCE = 2 * NANOSECONDS  # without a message for longer, a stream with a rate is silent


@dataclass
class _Tap:
    """A stream and what is known of it."""

    stream: Stream
    kind: type
    audit: Audit
    subscription: Subscription | None = None
    guarantees: tuple[str, str] = ("", "")  # reliability and durability that were asked for
    connection: Connection | None = None
    arrival: int = 0  # of the newest message
    stamp: int | None = None


class Taps:
    """Subscriptions to all streams of a recording."""

    def __init__(self, node: Node, streams: tuple[Stream, ...], clock: EpisodeClock) -> None:
        """Take messages through a node that no executor spins; topics have their full names."""
        self._node, self._clock = node, clock
        self._push: Callable[[list[Item]], None] = _unused
        self._taps = [_Tap(s, type_of(s.kind), Audit(s.rate)) for s in streams]
        self._watchers: dict[int, Callable[[Item], None]] = {}
        self.failure: Exception | None = None
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="taps", daemon=True)

    def watch(self, topic: str, watcher: Callable[[Item], None]) -> None:
        """Have a function called with every message of a stream."""
        for number, tap in enumerate(self._taps):
            if tap.stream.topic == topic:
                self._watchers[number] = watcher

    def start(self, push: Callable[[list[Item]], None]) -> None:
        """Begin to hand over what arrives."""
        self._push = push
        self._thread.start()

    def end(self) -> None:
        """Stop."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join()

    def connection(self, number: int) -> Connection | None:
        """Return how a stream's topic is described in a bag; None while nobody publishes it."""
        return self._taps[number].connection

    def silent(self) -> list[str]:
        """Return required topics that do not come."""
        now = self._clock.now()
        return [
            tap.stream.topic
            for tap in self._taps
            if tap.stream.required and (not tap.arrival or now - tap.arrival > SILENCE)
        ]

    def has(self, topic: str, stamp: int) -> bool:
        """Whether a picture or joint state of a time (ns), or a newer one, has come.

        Of topics that are not recorded, or that nobody has been found to publish, nothing will.
        """
        names = (topic, f"{topic}/compressed")  # pictures may be recorded as JPEG
        awaited = [
            tap
            for tap in self._taps
            if tap.stream.topic in names
            and tap.stream.rate is not None
            and tap.subscription is not None
        ]
        return all(tap.stamp is not None and tap.stamp >= stamp for tap in awaited)

    def unpublished(self) -> list[str]:
        """Return topics that nobody publishes."""
        return [tap.stream.topic for tap in self._taps if tap.subscription is None]

    def now(self) -> int:
        """Return the time (ns) on the clock of the stamps, which may be a simulation's."""
        now = self._clock.now()
        told = ((t.arrival, t.stamp) for t in self._taps if t.stamp is not None)
        arrival, stamp = max(told, default=(now, now))
        return stamp + now - arrival if now - arrival < SILENCE else now

    def poll(self) -> None:
        """Take all that has arrived."""
        if self.failure is not None:
            return
        with self._lock:
            items: list[Item] = []
            for number, tap in enumerate(self._taps):
                if tap.subscription is not None:
                    self._take(number, tap, tap.subscription, items)
            if not items:
                return
            items.sort(key=lambda item: item.arrival)
            items = [self._dated(item) for item in items]
            self._push(items)
        for item in items:
            if (watcher := self._watchers.get(item.stream)) is not None:
                self._show(watcher, item)

    def _dated(self, item: Item) -> Item:
        """Date a message on the episode's clock; until here it has the machine's."""
        tap = self._taps[item.stream]
        tap.arrival, tap.stamp = self._clock.date(item.arrival, item.stamp), item.stamp
        return item._replace(arrival=tap.arrival)

    def _show(self, watcher: Callable[[Item], None], item: Item) -> None:
        """Let somebody look at a message, who may not be able to read it."""
        try:
            watcher(item)
        except Exception as error:  # rclpy has several for bytes that are no message
            topic = self._taps[item.stream].stream.topic
            self._node.get_logger().warning(f"{topic}: a message cannot be read: {error}")

    def _take(self, number: int, tap: _Tap, subscription: Subscription, items: list[Item]) -> None:
        handle = subscription.handle
        with handle:
            while (taken := handle.take_message(tap.kind, True)) is not None:
                data, facts = taken
                arrival = facts["received_timestamp"]
                stamp = _stamp(data) if tap.stream.rate is not None else None
                origin = facts.get("publisher_gid")
                sent = facts["publication_sequence_number"]
                before = tap.audit.arrived(arrival, stamp, origin["data"] if origin else None, sent)
                published = facts["source_timestamp"]
                items.append(Item(number, data, arrival, published, sent or 0, stamp, before))

    def _run(self) -> None:
        due = 0.0
        try:
            while not self._ending.wait(PERIOD):
                if time.monotonic() >= due:
                    self._discover()
                    due = time.monotonic() + DISCOVERY_PERIOD
                self.poll()
        except Exception as error:  # a recorder that has gone deaf must not look as if it listened
            self.failure = error

    def _discover(self) -> None:
        """Subscribe to what is published, in the way in which it is offered."""
        for tap in self._taps:
            found = self._node.get_publishers_info_by_topic(tap.stream.topic)
            publishers = [info for info in found if info.topic_type == tap.stream.kind]
            if not publishers:
                continue
            offered = _common([info.qos_profile for info in publishers])
            if (offered.reliability, offered.durability) == tap.guarantees:
                continue
            with self._lock:
                self._subscribe(tap, offered, str(publishers[0].topic_type_hash))

    def _subscribe(self, tap: _Tap, offered: Qos, type_hash: str) -> None:
        if tap.subscription is not None:
            self._node.destroy_subscription(tap.subscription)
        depth = DEPTH_OF_PICTURES if tap.stream.large else DEPTH
        profile = QoSProfile(
            history=HistoryPolicy.KEEP_LAST,
            depth=depth,
            reliability=ReliabilityPolicy[offered.reliability.upper()],
            durability=DurabilityPolicy[offered.durability.upper()],
        )
        tap.subscription = self._node.create_subscription(
            tap.kind, tap.stream.topic, _unused, profile, raw=True
        )
        tap.guarantees = (offered.reliability, offered.durability)
        if tap.connection is None:
            topic, kind = tap.stream.topic, tap.stream.kind
            tap.connection = Connection(topic, kind, definition(kind), type_hash, (offered,))


def _common(profiles: list[QoSProfile]) -> Qos:
    """Return the best that all publishers of a topic offer."""
    reliable = all(p.reliability == ReliabilityPolicy.RELIABLE for p in profiles)
    latched = all(p.durability == DurabilityPolicy.TRANSIENT_LOCAL for p in profiles)
    return Qos(
        "reliable" if reliable else "best_effort",
        "transient_local" if latched else "volatile",
        max(p.depth for p in profiles) or 10,
    )


def _stamp(data: bytes) -> int | None:
    try:
        return cdr.read_stamp(data)
    except Refused:
        return None  # recorded as it came; whoever reads the bag will refuse it by name


def type_of(kind: str) -> Any:
    """Return the class of a message type."""
    package, _, name = kind.partition("/msg/")
    return getattr(import_module(f"{package}.msg"), name)


def _unused(_messages: object) -> None:
    """Stand in for a callback: rclpy insists on one."""
