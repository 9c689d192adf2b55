"""Fills the rings from the cell's topics. Messages stay serialised until somebody uses them."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image, JointState

from labvla_policy.nodes import qos
from labvla_policy.nodes.cv_converter import cv_bridge_converter
from labvla_policy.runtime.cell import Cell
from labvla_policy.runtime.observation.rings import camera_rings, state_rings
from labvla_policy.runtime.refusal import Refused
from labvla_policy.runtime.streams import cdr
from labvla_policy.runtime.streams.ring import Ring
from labvla_policy.runtime.types import NANOSECONDS


class Inputs:
    """Subscriptions to everything that the policy sees."""

    def __init__(self, node: Node, cell: Cell) -> None:
        self.states = state_rings(cell)
        self.cameras = camera_rings(cell, cv_bridge_converter())
        self.corrupt: Counter[str] = Counter()  # messages that could not be read, by topic
        self.pictures = threading.Event()  # one has come; whoever waits clears it
        self._rings: dict[str, tuple[Ring[Any, Any], int]] = {}  # with the latency (ns), by topic
        for topic, ring in self.states.items():
            self._rings[topic] = ring, 0
            push = self._into(topic, ring)
            node.create_subscription(JointState, topic, push, qos.JOINT_STATES, raw=True)
        for camera in cell.policy_cameras:
            kind = CompressedImage if camera.encoding == "jpeg" else Image
            ring = self.cameras[camera.name]
            self._rings[camera.topic] = ring, round(camera.latency * NANOSECONDS)
            push = self._into(camera.topic, ring, self.pictures)
            node.create_subscription(kind, camera.topic, push, qos.IMAGES, raw=True)

    @property
    def clock_jumps(self) -> int:
        """How often the stamps of any stream jumped: all of it from before is forgotten."""
        rings = (*self.states.values(), *self.cameras.values())
        return sum(ring.counts.clock_jumps for ring in rings)

    def has(self, topic: str, stamp: int) -> bool:
        """Whether a message of a stamp (ns), or a newer one, has arrived; nobody hears others."""
        if topic not in self._rings:
            return True
        ring, latency = self._rings[topic]
        newest = ring.newest
        return newest is not None and newest.stamp + latency >= stamp

    def _into(
        self, topic: str, ring: Ring[Any, Any], arrived: threading.Event | None = None
    ) -> Callable[[bytes], None]:
        def push(message: bytes) -> None:
            try:
                ring.push(message, cdr.read_stamp(message), time.monotonic_ns())
            except Refused:
                self.corrupt[topic] += 1
            if arrived is not None:
                arrived.set()

        return push
