"""A policy node as it is usually written: the thing to compare with.

rclpy's default executor; every message is deserialised and decoded when it comes; an approximate-
time synchroniser over cameras and joint states; inference in the callback of a set, or of a timer;
a JointTrajectory goes out. No ring, no check of anything, no process of its own for the engine.

    python -m benchmarks.node.naive SETTINGS.json
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import rclpy
from builtin_interfaces.msg import Duration
from rclpy.node import Node
from sensor_msgs.msg import Image, JointState
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from benchmarks.node.answers import rows_from
from benchmarks.node.approximate_time import ApproximateTime
from benchmarks.node.process import Settings, main
from benchmarks.node.standin import TRAJECTORY
from labvla_policy.nodes import qos
from labvla_policy.nodes.stamps import to_ns, to_stamp
from labvla_policy.runtime.cell import Cell, load_cell
from labvla_policy.runtime.types import NANOSECONDS

QUEUE = 10
SLOP = 50 * NANOSECONDS // 1000


class NaivePolicy:
    """Everything in callbacks."""

    def __init__(self, node: Node, cell: Cell, rate: float) -> None:
        self._cell, self._every_set = cell, rate == 0.0
        self._latest: tuple[Any, ...] | None = None
        self.asked: list[tuple[int, int, int, int]] = []
        self.received = [0] * (len(cell.policy_cameras) + 1)
        self._sets = ApproximateTime(len(self.received), QUEUE, SLOP, self._on_set)
        for number, camera in enumerate(cell.policy_cameras):
            node.create_subscription(
                Image, camera.topic, partial(self._on_image, number), qos.IMAGES
            )
        joints = len(cell.policy_cameras)
        node.create_subscription(
            JointState, cell.joint_states.topic, partial(self._on_joints, joints), qos.JOINT_STATES
        )
        self._publisher = node.create_publisher(JointTrajectory, TRAJECTORY, qos.RELIABLE)
        if not self._every_set:
            node.create_timer(1.0 / rate, self._on_timer)

    def _on_image(self, number: int, message: Image) -> None:
        self.received[number] += 1
        pixels = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)
        stamp = to_ns(message.header.stamp)
        self._sets.add(number, stamp, (stamp, pixels.copy()))

    def _on_joints(self, number: int, message: JointState) -> None:
        self.received[number] += 1
        by_name = dict(zip(message.name, message.position, strict=True))
        positions = np.array([by_name[joint] for joint in self._cell.joints])
        stamp = to_ns(message.header.stamp)
        self._sets.add(number, stamp, (stamp, positions))

    def _on_set(self, *samples: Any) -> None:
        self._latest = samples
        if self._every_set:
            self._infer()

    def _on_timer(self) -> None:
        if self._latest is not None:
            self._infer()

    def _infer(self) -> None:
        assert self._latest is not None
        *images, (stamp, positions) = self._latest
        self._latest = None
        begin = time.monotonic_ns()
        rows = rows_from(positions)
        newest = max(s for s, _ in images)
        self.asked.append((stamp, newest, begin, time.monotonic_ns()))
        trajectory = JointTrajectory(joint_names=self._cell.joints)
        trajectory.header.stamp = to_stamp(stamp)
        dt = 1.0 / self._cell.policy.row_rate
        for k, row in enumerate(rows, 1):
            after = round(k * dt * NANOSECONDS)
            since = Duration(sec=after // NANOSECONDS, nanosec=after % NANOSECONDS)
            trajectory.points.append(
                JointTrajectoryPoint(positions=row.tolist(), time_from_start=since)
            )
        self._publisher.publish(trajectory)


def work(node: Node, settings: Settings, ending: list[int]) -> Mapping[str, object]:
    """Work until the end."""
    policy = NaivePolicy(node, load_cell(settings.cell), settings.rate)
    executor = rclpy.get_global_executor()  # what rclpy.spin uses
    executor.add_node(node)
    while not ending:
        executor.spin_once(timeout_sec=0.1)
    return {"asked": policy.asked, "received": policy.received}


if __name__ == "__main__":
    main(work, "naive")
