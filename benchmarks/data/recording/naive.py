"""The recorder that one writes first: callbacks with messages, mcap-ros2-support, one thread."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rclpy
from mcap.writer import CompressionType
from mcap_ros2.writer import Writer
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from labvla_data.bag.definitions import definition
from labvla_data.nodes.taps import type_of
from labvla_data.recording.streams import Stream, streams_of
from labvla_policy.nodes import qos
from labvla_policy.runtime.cell import load_cell

# mcap-ros2-support does not take the NumPy arrays that rclpy has for fields of a fixed size: the
# recorder that one writes first goes without these, and so has less to do.
NOT_WRITABLE = "CameraInfo"


def main() -> None:
    """Record a cell's streams into a file until SIGINT."""
    cell, images, path = load_cell(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node = Node("naive_recorder")
    ending = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ending.set())
    with path.open("wb") as file:
        writer = Writer(file, compression=CompressionType.NONE)

        def write(stream: Stream) -> Callable[[Any], None]:
            schema = writer.register_msgdef(stream.kind, definition(stream.kind))
            topic = node.resolve_topic_name(stream.topic)

            def callback(message: Any) -> None:
                now = time.time_ns()
                writer.write_message(topic, schema, message, log_time=now, publish_time=now)

            return callback

        for stream in streams_of(cell, images):  # type: ignore[arg-type]
            if stream.kind.endswith(NOT_WRITABLE):
                continue
            profile = qos.IMAGES if stream.large else qos.RELIABLE
            node.create_subscription(type_of(stream.kind), stream.topic, write(stream), profile)
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        while not ending.is_set():
            executor.spin_once(timeout_sec=0.1)
        writer.finish()
    executor.shutdown()
    node.destroy_node()
    rclpy.try_shutdown()


if __name__ == "__main__":
    main()
