"""The one way from this node to the controller: ActionChunks, numbered in one sequence."""

from __future__ import annotations

import threading
import time
from array import array

import numpy as np
from rclpy.node import Node
from rclpy.publisher import Publisher

from labvla_msgs.msg import ActionChunk, CameraStamp, ObservationUsed
from labvla_policy.nodes import qos
from labvla_policy.nodes.rates import Rate
from labvla_policy.nodes.stamps import to_stamp
from labvla_policy.runtime.cell import Cell
from labvla_policy.runtime.cycle import Chunk
from labvla_policy.runtime.types import Observation, Prediction


class ChunkOutlet:
    """Publishes plans of whoever owns the motion, while the node is active. Any thread may send."""

    def __init__(self, node: Node, cell: Cell) -> None:
        self._node, self._cell = node, cell
        self._lock = threading.Lock()
        self._chunks: Publisher | None = None
        self._used: Publisher | None = None
        self.session = time.time_ns()
        self._rate = Rate()
        self.sent = 0

    def open(self) -> None:
        """Begin to publish: where nobody publishes chunks, nobody can be waiting for one."""
        with self._lock:
            self._chunks = self._node.create_publisher(
                ActionChunk, "labvla/action_chunk", qos.RELIABLE
            )
            self._used = self._node.create_publisher(
                ObservationUsed, "labvla/observation_used", qos.RELIABLE
            )

    def close(self) -> None:
        """Publish nothing any more."""
        with self._lock:
            for publisher in (self._chunks, self._used):
                self._node.destroy_publisher(publisher)
            self._chunks = self._used = None

    @property
    def rate(self) -> float:
        """Chunks in the last second."""
        return self._rate.per_second(time.monotonic())

    def send_answer(self, chunk: Chunk, policy: str) -> None:
        """Publish what the policy answered to an observation."""
        observation = chunk.observation
        with self._lock:
            if self._chunks is None or self._used is None:
                return  # deactivated while the engine worked
            self._publish(
                chunk.plan,
                observation.stamp,
                camera_stamps=_camera_stamps(observation),
                committed_prefix=chunk.plan.prefix_rows,
                inference_latency=chunk.latency,
                policy=policy,
                instruction=observation.instruction,
            )
            self._used.publish(self._account(observation))

    def send_motion(self, plan: Prediction, made_from: int, what: str) -> bool:
        """Publish a plan that needs no observation; False when the node is not active."""
        with self._lock:
            if self._chunks is None:
                return False
            self._publish(plan, made_from, policy=what)
        return True

    def _publish(self, plan: Prediction, made_from: int, **more: object) -> None:
        assert self._chunks is not None
        self.sent += 1
        self._chunks.publish(
            ActionChunk(
                observation_stamp=to_stamp(made_from),
                plan_start=to_stamp(plan.plan_start),
                dt=plan.dt,
                session=self.session,
                sequence=self.sent,
                rows=plan.rows,
                joint_names=plan.joint_names,
                joint_targets=array("d", plan.joint_targets.tobytes()),
                gripper_names=plan.gripper_names,
                gripper_targets=array("d", plan.gripper_targets.tobytes()),
                contract_hash=self._cell.contract_hash,
                **more,
            )
        )
        self._rate.count(time.monotonic())

    def _account(self, observation: Observation) -> ObservationUsed:
        return ObservationUsed(
            session=self.session,
            sequence=self.sent,
            state_stamp=to_stamp(observation.stamp),
            camera_stamps=_camera_stamps(observation),
            skew=observation.skew * 1e-9,
            age=observation.age * 1e-9,
            joint_names=observation.joint_names,
            joint_positions=observation.positions,
            instruction=observation.instruction,
            hash=np.frombuffer(observation.hash, np.uint8),
        )


def _camera_stamps(observation: Observation) -> list[CameraStamp]:
    return [
        CameraStamp(camera=frame.camera, stamp=to_stamp(frame.stamp))
        for frame in observation.camera_stamps
    ]
