"""The policy node itself before a real controller: made-up pictures, a gripper that stands open."""

from __future__ import annotations

import array
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from rclpy.context import Context
from rclpy.node import Node
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Header

from labvla_bringup.hardware import ControllerKind, Hardware
from labvla_bringup.stack import describe
from labvla_bringup.supervisor import executable_path
from labvla_policy.nodes import qos
from labvla_policy.nodes.stamps import to_stamp
from labvla_policy.runtime.cell import Cell

PERIOD = 1 / 30  # s between pictures
OPEN = 0.04  # m, of one finger


class Senses:
    """Publishes noise on every camera's topic, and where the finger is, from a thread."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._end = threading.Event()
        self._context = Context()
        rclpy.init(context=self._context)
        self._node = Node("senses", context=self._context)
        self._pictures = {
            camera: self._node.create_publisher(Image, camera.topic, qos.RELIABLE)
            for camera in cell.cameras
        }
        self._gripper = self._node.create_publisher(
            JointState, cell.arms[0].gripper.state_topic, qos.RELIABLE
        )
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Senses:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        self._node.destroy_node()
        self._context.try_shutdown()

    def _run(self) -> None:
        noise = np.random.default_rng(0)
        while not self._end.wait(PERIOD):
            stamp = to_stamp(time.time_ns())
            for camera, publisher in self._pictures.items():
                publisher.publish(_picture(camera, stamp, noise))
            header = Header(stamp=stamp)
            joint = self._cell.arms[0].gripper.joint
            self._gripper.publish(JointState(header=header, name=[joint], position=[OPEN]))


def _picture(camera: Any, stamp: Any, noise: np.random.Generator) -> Image:
    header = Header(stamp=stamp, frame_id=camera.frame_id)
    row = 3 * camera.width
    pixels = noise.bytes(camera.height * row)
    return Image(
        header=header,
        height=camera.height,
        width=camera.width,
        encoding="rgb8",
        step=row,
        data=array.array("B", pixels),
    )


@contextmanager
def policy_node(
    cell: Cell, kind: ControllerKind, folder: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run the policy node as the launch files do, with the replay and without a robot node."""
    stack = describe(
        cell,
        engine="replay",
        robot="hardware",
        record=False,
        hardware=Hardware(fake=True, controller=kind),
    )
    described = next(process for process in stack.processes if process.name == "policy")
    described = replace(described, parameters={**described.parameters, "robot": False})
    command = [str(executable_path(described)), *described.ros_arguments("")]
    with (folder / "policy.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        with Senses(cell):
            yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=30)
