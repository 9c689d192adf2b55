"""A stand-in for the controller: notes when plans come, and says how much of them is left.

python -m benchmarks.node.standin SETTINGS.json
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from rclpy.node import Node
from trajectory_msgs.msg import JointTrajectory

from benchmarks.node import streams
from benchmarks.node.process import Settings
from benchmarks.node.process import main as run
from labvla_msgs.msg import ActionChunk, ControllerState
from labvla_policy.nodes import qos
from labvla_policy.nodes.run import new_executor
from labvla_policy.nodes.stamps import to_ns, to_stamp
from labvla_policy.runtime.cell import Cell, load_cell
from labvla_policy.runtime.types import NANOSECONDS

STATE_PERIOD = 0.02  # s
TRAJECTORY = "naive/trajectory"


class StandIn:
    """Takes plans of both nodes."""

    def __init__(self, node: Node, cell: Cell, offset: int) -> None:
        self._cell, self._offset = cell, offset
        self._end = 0
        self.arrivals: list[tuple[int, int]] = []  # observation's stamp, monotonic time
        self._states = node.create_publisher(
            ControllerState, f"{cell.controller.name}/state", qos.RELIABLE
        )
        node.create_subscription(ActionChunk, "labvla/action_chunk", self._on_chunk, qos.RELIABLE)
        node.create_subscription(JointTrajectory, TRAJECTORY, self._on_trajectory, qos.RELIABLE)
        node.create_timer(STATE_PERIOD, self._tell)

    def _on_chunk(self, chunk: ActionChunk) -> None:
        self.arrivals.append((to_ns(chunk.observation_stamp), time.monotonic_ns()))
        self._end = to_ns(chunk.plan_start) + round((chunk.rows - 1) * chunk.dt * NANOSECONDS)

    def _on_trajectory(self, trajectory: JointTrajectory) -> None:
        self.arrivals.append((to_ns(trajectory.header.stamp), time.monotonic_ns()))

    def _tell(self) -> None:
        now = time.monotonic_ns() + self._offset
        self._states.publish(
            ControllerState(
                stamp=to_stamp(now),
                mode=ControllerState.TRACKING,
                joint_names=self._cell.joints,
                reference_positions=streams.posture(self._cell),
                reference_velocities=[0.0] * len(self._cell.joints),
                measured_positions=streams.posture(self._cell),
                plan_remaining=max(0.0, (self._end - now) / NANOSECONDS),
            )
        )


def work(node: Node, settings: Settings, ending: list[int]) -> Mapping[str, object]:
    """Listen until the end."""
    stand_in = StandIn(node, load_cell(settings.cell), settings.offset)
    executor = new_executor()
    executor.add_node(node)
    while not ending:
        executor.spin_once(timeout_sec=0.1)
    executor.shutdown()
    return {"arrivals": stand_in.arrivals}


if __name__ == "__main__":
    run(work, "stand_in")
