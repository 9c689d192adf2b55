"""The sender's process: cameras, joint states and grippers, and a record of what went out when.

python -m benchmarks.node.sender SETTINGS.json
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from rclpy.node import Node
from rclpy.publisher import Publisher
from sensor_msgs.msg import Image, JointState

from benchmarks.node import streams
from benchmarks.node.process import Settings, main
from labvla_policy.nodes import qos
from labvla_policy.runtime.cell import Cell, load_cell
from labvla_policy.runtime.types import NANOSECONDS

GRIPPER_RATE = 50.0  # Hz
_START = NANOSECONDS // 2  # from now


class Stream:
    """One topic, and what went out on it: stamps and monotonic times."""

    def __init__(
        self, publisher: Publisher, messages: list[bytearray], rate: float, due: float
    ) -> None:
        self._publisher, self._messages = publisher, messages
        self._period = NANOSECONDS / rate
        self.due = due  # ns, on the clock of the stamps
        self.log: list[tuple[int, int]] = []

    def send(self) -> None:
        """Send what is due.

        A robot's driver stamps its own cycle: the stamp is when it was due, however late this is.
        """
        stamp = round(self.due)
        message = self._messages[len(self.log) % len(self._messages)]
        self.log.append((stamp, time.monotonic_ns()))
        self._publisher.publish(streams.stamped(message, stamp))
        self.due += self._period


def make_streams(node: Node, cell: Cell, settings: Settings) -> Iterator[tuple[str, Stream]]:
    """Yield every stream of the cell by its topic."""
    load = settings.load
    start = time.monotonic_ns() + settings.offset + _START
    joints = streams.joint_states(cell, load)
    states = node.create_publisher(JointState, cell.joint_states.topic, qos.RELIABLE)
    yield cell.joint_states.topic, Stream(states, joints, load.joint_rate, start)
    for topic, message in streams.gripper_states(cell).items():
        fingers = node.create_publisher(JointState, topic, qos.RELIABLE)
        yield topic, Stream(fingers, [message], GRIPPER_RATE, start)
    for camera, phase in zip(cell.policy_cameras, load.phases, strict=True):
        pictures = streams.pictures(load, camera.frame_id or "")
        publisher = node.create_publisher(Image, camera.topic, qos.IMAGES)
        due = start + phase * NANOSECONDS
        yield camera.topic, Stream(publisher, pictures, camera.rate, due)


def work(node: Node, settings: Settings, ending: list[int]) -> Mapping[str, object]:
    """Send until the end."""
    sent = dict(make_streams(node, load_cell(settings.cell), settings))
    while not ending:
        stream = min(sent.values(), key=lambda s: s.due)
        ahead = stream.due - settings.offset - time.monotonic_ns()
        if ahead > 0:
            time.sleep(ahead / NANOSECONDS)
        stream.send()
    return {topic: stream.log for topic, stream in sent.items()}


if __name__ == "__main__":
    main(work, "sender")
