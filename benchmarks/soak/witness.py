"""A client of the stack that notes every message: `python -m benchmarks.soak.witness CELL FILE`.

It gets pictures as any other node does. Of each message it keeps the publisher's own number, which
says how many were sent, whoever has lost some of them; the stamp (ns); and the arrival (ns).
"""

from __future__ import annotations

import signal
import sys
import time
from array import array
from dataclasses import dataclass

import numpy as np
import rclpy
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.subscription import Subscription
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image, JointState

from benchmarks.node.process import save
from labvla_policy.nodes import qos
from labvla_policy.runtime.cell import Cell, load_cell
from labvla_policy.runtime.streams import cdr

CLOCK = "/clock"
LISTENING = "everything comes"  # what it says when it does
_PATIENCE = 60.0  # s until every topic has brought something
_PERIOD = 0.004  # s between two rounds; arrivals are as exact


@dataclass(frozen=True)
class _Tap:
    """A subscription that is asked, since no executor hands the publisher's number on."""

    kind: type
    subscription: Subscription
    noted: array[int]

    def take(self) -> None:
        """Note all that has come."""
        handle = self.subscription.handle
        with handle:
            while (taken := handle.take_message(self.kind, True)) is not None:
                message, facts = taken
                number = facts["publication_sequence_number"]
                self.noted.extend((number, cdr.read_stamp(message), time.monotonic_ns()))


def main() -> None:
    """Note everything until a signal, then write it."""
    cell, path = load_cell(sys.argv[1]), sys.argv[2]
    ending: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.append(1))
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node("witness", enable_rosout=False, start_parameter_services=False)
    taps = _taps(node, cell)
    listening, begin = False, time.monotonic()
    while not ending:
        for tap in taps.values():
            tap.take()
        if not listening and all(tap.noted for tap in taps.values()):
            listening = True
            print(LISTENING, flush=True)
        if not listening and time.monotonic() - begin > _PATIENCE:
            silent = ", ".join(topic for topic, tap in taps.items() if not tap.noted)
            sys.exit(f"nothing came within {_PATIENCE:g} s on {silent}")
        time.sleep(_PERIOD)
    node.destroy_node()
    rclpy.try_shutdown()
    save(path, {topic: np.array(tap.noted, np.int64) for topic, tap in taps.items()})


def _taps(node: Node, cell: Cell) -> dict[str, _Tap]:
    wanted = [
        *((Image, camera.topic, qos.IMAGES) for camera in cell.cameras),
        (JointState, cell.joint_states.topic, qos.JOINT_STATES),
        (Clock, CLOCK, qos.JOINT_STATES),
    ]
    return {
        topic: _Tap(
            kind, node.create_subscription(kind, topic, _unused, profile, raw=True), array("q")
        )
        for kind, topic, profile in wanted
    }


def _unused(_message: object) -> None:
    """Stand in for a callback: rclpy insists on one."""


if __name__ == "__main__":
    main()
