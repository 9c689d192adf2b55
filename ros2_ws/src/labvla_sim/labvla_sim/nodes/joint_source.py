"""A stand-in for the robot until the simulated cell is there: joints that follow the plan."""

from __future__ import annotations

import sys

import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import JointState

from labvla_msgs.msg import ActionChunk
from labvla_policy.nodes import qos
from labvla_policy.nodes.parameters import ParameterError, Text
from labvla_policy.nodes.stamps import to_ns
from labvla_policy.runtime.cell import CellError, load_cell

CELL = Text("cell", "name or file of the cell that is imitated")

RATE = 100.0  # Hz; Python cannot publish at a real controller's 1 kHz


class JointSource(Node):  # type: ignore[misc]  # rclpy has no types
    """Publishes joint states that follow the newest chunk without dynamics or limits."""

    def __init__(self) -> None:
        super().__init__("joint_source")
        cell = load_cell(CELL.read(self))
        self._joints = list(cell.joints)
        self._positions = np.concatenate([arm.posture("home").joints for arm in cell.arms])
        self._chunk: ActionChunk | None = None
        self._states = self.create_publisher(JointState, cell.joint_states.topic, qos.RELIABLE)
        self.create_subscription(ActionChunk, "labvla/action_chunk", self._on_chunk, qos.RELIABLE)
        self.create_timer(1.0 / RATE, self._step)

    def _on_chunk(self, chunk: ActionChunk) -> None:
        self._chunk = chunk

    def _step(self) -> None:
        now = self.get_clock().now()
        if self._chunk is not None:
            self._follow(self._chunk, now.nanoseconds)
        message = JointState(name=self._joints, position=self._positions)
        message.header.stamp = now.to_msg()
        self._states.publish(message)

    def _follow(self, chunk: ActionChunk, now: int) -> None:
        targets = np.asarray(chunk.joint_targets).reshape(chunk.rows, len(chunk.joint_names))
        row = (now - to_ns(chunk.plan_start)) * 1e-9 / chunk.dt
        below = int(np.clip(np.floor(row), 0, chunk.rows - 1))
        above = min(below + 1, chunk.rows - 1)
        share = float(np.clip(row - below, 0.0, 1.0))
        by_name = dict(
            zip(
                chunk.joint_names,
                targets[below] * (1 - share) + targets[above] * share,
                strict=True,
            )
        )
        self._positions = np.array([by_name[joint] for joint in self._joints])


def main() -> int:
    """Run the node until it is interrupted."""
    rclpy.init(signal_handler_options=SignalHandlerOptions.ALL)
    try:
        node = JointSource()
    except (CellError, ParameterError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
    return 0
