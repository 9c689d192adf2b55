"""Fills the rings from the cell's topics. Messages stay serialised until somebody uses them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image, JointState

from labvla_policy.nodes import qos
from labvla_policy.runtime.cell import Cell
from labvla_policy.runtime.observation.rings import camera_rings, state_rings
from labvla_policy.runtime.refusal import Refused
from labvla_policy.runtime.streams import cdr
from labvla_policy.runtime.streams.ring import Ring


class Inputs:
    """Subscriptions to everything that the policy sees."""

    def __init__(self, node: Node, cell: Cell) -> None:
        self.states = state_rings(cell)
        self.cameras = camera_rings(cell)
        self.corrupt = 0
        for topic, ring in self.states.items():
            self._subscribe(node, JointState, topic, ring, qos.JOINT_STATES)
        for camera in cell.policy_cameras:
            kind = CompressedImage if camera.encoding == "jpeg" else Image
            ring = self.cameras[camera.name]
            self._subscribe(node, kind, camera.topic, ring, qos.IMAGES)

    @property
    def clock_jumps(self) -> int:
        """How often the stamps of any stream jumped: all of it from before is forgotten."""
        rings = (*self.states.values(), *self.cameras.values())
        return sum(ring.counts.clock_jumps for ring in rings)

    def _subscribe(
        self, node: Node, kind: type, topic: str, ring: Ring[Any, Any], profile: Any
    ) -> None:
        node.create_subscription(kind, topic, self._into(ring), profile, raw=True)

    def _into(self, ring: Ring[Any, Any]) -> Callable[[bytes], None]:
        def push(message: bytes) -> None:
            try:
                ring.push(message, cdr.read_stamp(message), time.monotonic_ns())
            except Refused:
                self.corrupt += 1

        return push
