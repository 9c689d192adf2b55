"""Publishes a cell's streams at their rates until it is interrupted, then tells what it sent."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from typing import Any

import rclpy
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from benchmarks.data.recording.numbered import Numbered, template
from labvla_data.nodes.taps import type_of
from labvla_data.recording.streams import Stream, streams_of
from labvla_policy.nodes import qos
from labvla_policy.runtime.cell import Cell, load_cell

# Streams without a nominal rate are sent as often as the simulated cell sends them.
OTHER_RATE = 50.0
SENT = ("Image", "CompressedImage", "CameraInfo", "JointState", "ControllerState")
TICK = 0.001  # s


class Topic:
    """One topic with its rate."""

    def __init__(self, node: Node, cell: Cell, stream: Stream) -> None:
        cameras = {camera.topic.rpartition("/")[0]: camera for camera in cell.cameras}
        camera = cameras.get(stream.topic.removesuffix("/compressed").rpartition("/")[0])
        side = (camera.width, camera.height) if camera else (0, 0)
        rate = stream.rate or (camera.rate if camera else OTHER_RATE)
        profile = qos.IMAGES if stream.large else qos.RELIABLE
        self._publisher = node.create_publisher(type_of(stream.kind), stream.topic, profile)
        self._messages: Numbered = template(stream.kind, cell, side)
        self._period = 1.0 / rate
        self._due = 0.0
        self.name = self._publisher.topic_name

    @property
    def sent(self) -> int:
        """Messages so far."""
        return self._messages.sent

    def send_what_is_due(self, elapsed: float, epoch: int) -> None:
        """Send what is due, stamped with the time at which it was: a camera's clock is exact."""
        while elapsed >= self._due:
            self._publisher.publish(self._messages.next(epoch + round(self._due * 1e9)))
            self._due += self._period


def main() -> None:
    """Send until SIGINT."""
    cell = load_cell(sys.argv[1])
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node = Node("sender", start_parameter_services=False, enable_rosout=False)
    ending = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ending.set())
    images: Any = sys.argv[2]
    streams = [s for s in streams_of(cell, images) if s.kind.rpartition("/")[2] in SENT]
    topics = [Topic(node, cell, stream) for stream in streams]
    begin, epoch = time.monotonic(), time.time_ns()
    while not ending.is_set():
        now = time.monotonic()
        for topic in topics:
            topic.send_what_is_due(now - begin, epoch)
        time.sleep(max(0.0, TICK - (time.monotonic() - now)))
    result = {"sent": {topic.name: topic.sent for topic in topics}, "seconds": now - begin}
    print(json.dumps(result), flush=True)
    node.destroy_node()
    rclpy.try_shutdown()


if __name__ == "__main__":
    main()
