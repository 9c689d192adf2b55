"""A process that sends a stream of action chunks from where the arms stand, until it is ended.

usage: chunk_sender.py [--controller NAME] [--seed N] [--chunks N] [--disagreement RAD]
Prints the time of the stream's first observation (ns), then one line for every chunk.
"""

from __future__ import annotations

import argparse
import contextlib
import time

import numpy as np
import rclpy
from builtin_interfaces.msg import Time
from chunk_stream import Chunk, Shape, Stream
from rclpy.node import Node

from labvla_msgs.msg import ActionChunk, ControllerState


def to_stamp(nanoseconds: int) -> Time:
    return Time(sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)


def to_message(chunk: Chunk, epoch_ns: int, names: list[str], shape: Shape) -> ActionChunk:
    start_ns = epoch_ns + round(chunk.start * 1e9)
    return ActionChunk(
        observation_stamp=to_stamp(start_ns),
        plan_start=to_stamp(start_ns),
        dt=shape.row_period,
        rows=len(chunk.targets),
        joint_names=names,
        joint_targets=chunk.targets.ravel().tolist(),
        policy="test:stream",
    )


def wait_for_state(node: Node, topic: str) -> ControllerState:
    states: list[ControllerState] = []
    subscription = node.create_subscription(ControllerState, topic, states.append, 10)
    while not states:
        rclpy.spin_once(node, timeout_sec=0.1)
    node.destroy_subscription(subscription)
    return states[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--controller", default="labvla_controller")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--chunks", type=int, default=10**6)
    parser.add_argument("--disagreement", type=float, default=Shape.disagreement)
    options = parser.parse_args()

    rclpy.init()
    node = rclpy.create_node("chunk_sender")
    publisher = node.create_publisher(ActionChunk, "labvla/action_chunk", 10)
    state = wait_for_state(node, f"{options.controller}/state")
    while not publisher.get_subscription_count():
        time.sleep(0.01)
    # Any order is fine for the controller; another one than its own shows it.
    order = np.arange(len(state.joint_names))[::-1]
    names = [state.joint_names[i] for i in order]
    shape = Shape(disagreement=options.disagreement)
    stream = Stream(np.array(state.reference_positions)[order], shape, options.seed)
    epoch_ns = time.time_ns() + 100_000_000
    session = time.time_ns()
    print(epoch_ns, flush=True)
    for index in range(options.chunks):
        chunk = stream.chunk(index)
        due_ns = epoch_ns + round(chunk.publish * 1e9)
        time.sleep(max(0.0, (due_ns - time.time_ns()) * 1e-9))
        message = to_message(chunk, epoch_ns, names, shape)
        message.session = session
        message.sequence = index + 1
        publisher.publish(message)
        print(index, flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
