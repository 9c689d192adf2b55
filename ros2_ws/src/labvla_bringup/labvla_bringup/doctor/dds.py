"""A test image of 1 MB goes to another process and back, through the middleware as configured."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Callable

from sensor_msgs.msg import Image

from labvla_bringup.doctor.frame import Context, Failed
from labvla_bringup.graph import Graph
from labvla_policy.nodes import qos

BYTES = 1_000_000
TRIPS = 5
DISCOVERY = 10.0  # s
TIMEOUT = 15.0  # s, for all trips: a busy machine is slow, not broken
PROFILE = "unset FASTDDS_DEFAULT_PROFILES_FILE: labvla's own fits 1 MB images (config/dds)"


def round_trip(_context: Context) -> str:
    """A 1 MB image arrives at another process and comes back unchanged."""
    topic = f"labvla_doctor_{os.getpid()}"
    # The other process ends when its standard input closes, even if this one is killed: a signal
    # would end it without giving its shared memory back.
    echo = subprocess.Popen([sys.executable, "-m", __name__, topic], stdin=subprocess.PIPE)
    try:
        with Graph() as graph:
            return measure(graph, topic)
    finally:
        echo.communicate()


def measure(graph: Graph, topic: str, hint: str = PROFILE) -> str:
    """Send test images to whoever answers on a topic; raises Failed."""
    returned: list[Image] = []
    publisher = graph.node.create_publisher(Image, f"{topic}/there", qos.RELIABLE)
    graph.node.create_subscription(Image, f"{topic}/back", returned.append, qos.RELIABLE)
    back = graph.resolve(f"{topic}/back")
    found = graph.spin_until(
        lambda: publisher.get_subscription_count() > 0 and graph.node.count_publishers(back) > 0,
        DISCOVERY,
    )
    if not found:
        raise Failed(f"two processes do not find each other within {DISCOVERY:g} s", hint)
    times = []
    for trip in range(TRIPS):
        payload = bytes([trip]) * BYTES
        begin = time.monotonic()
        publisher.publish(Image(height=1, width=BYTES, step=BYTES, encoding="mono8", data=payload))
        if not graph.spin_until(lambda n=trip + 1: len(returned) >= n, TIMEOUT / TRIPS):  # type: ignore[misc]
            raise Failed(f"image {trip + 1} of {TRIPS} did not come back", hint)
        times.append(time.monotonic() - begin)
        if bytes(returned[trip].data) != payload:
            raise Failed(f"image {trip + 1} came back changed", hint)
    return f"1 MB there and back in {sorted(times)[TRIPS // 2] * 1e3:.0f} ms (median of {TRIPS})"


def echo(topic: str, ended: Callable[[], bool]) -> None:
    """Send every test image back until it is to end."""
    with Graph() as graph:
        publisher = graph.node.create_publisher(Image, f"{topic}/back", qos.RELIABLE)
        graph.node.create_subscription(Image, f"{topic}/there", publisher.publish, qos.RELIABLE)
        graph.spin_until(ended, float("inf"))


if __name__ == "__main__":
    echo(sys.argv[1], lambda: bool(select.select([sys.stdin], [], [], 0)[0]))
