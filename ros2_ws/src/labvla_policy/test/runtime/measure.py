"""Prints what assembly and gate cost on one core: the figures of docs/runtime.md.

    OPENBLAS_NUM_THREADS=1 python ros2_ws/src/labvla_policy/test/runtime/measure.py

Processor time of this process, so that other work on the machine hardly counts.
"""

import sys
import time
from collections.abc import Callable

import numpy as np
from runtime_support import MS, T0, at_rest, cell_of, plan_of, posture
from test_cdr import JOINTS

from labvla_policy.runtime.gate.gate import Gate
from labvla_policy.runtime.observation.assembler import Assembler
from labvla_policy.runtime.observation.digest import pixel_digest
from labvla_policy.runtime.streams import cdr
from labvla_policy.runtime.streams.cdr import Image
from labvla_policy.runtime.streams.image import ImageFormat, decode
from labvla_policy.runtime.streams.ring import Ring

REPEATS = 100


def cost(action: Callable[[int], object]) -> str:
    times = []
    for n in range(REPEATS):
        begin = time.process_time_ns()
        action(n)
        times.append((time.process_time_ns() - begin) / 1e6)
    return f"{np.median(times):6.2f} {np.quantile(times, 0.99):6.2f}"


def show(what: str, figures: str) -> None:
    sys.stdout.write(f"{what:56s} {figures}\n")


def gates() -> None:
    for name in ("franka", "ur5e", "dual_arm", "dual_franka"):
        cell = cell_of(name)
        gate, now, start = Gate(cell), at_rest(cell), posture(cell)
        s = np.linspace(0, 1, 50)[:, np.newaxis]
        free = plan_of(cell, start + s * 0.1 * np.sign(np.arange(len(start)) - 2.5))
        show(f"gate, {name}, 50 rows, free", cost(lambda _, p=free: gate.check(p, now)))
        if name == "franka":
            low = start + [0, 0.74, 0, 0, 0, 0.74, 0]  # fingers just above the bench
            skim = plan_of(cell, low + s * [0.4, 0, 0, 0, 0, 0, 0])
            near = at_rest(cell, low)
            show("gate, franka, skimming the bench", cost(lambda _: gate.check(skim, near)))


def assemblies() -> None:
    for width, height in ((224, 224), (640, 480)):
        cell = cell_of("franka")
        pictures = np.random.default_rng(0).integers(0, 255, (4, height, width, 3), np.uint8)
        states = {
            topic: Ring(lambda raw: raw, rate=1000, capacity=400)
            for topic in (cell.joint_states.topic, cell.arms[0].gripper.state_topic)
        }
        declared = ImageFormat("rgb8", width, height)
        cameras = {
            camera.name: Ring(lambda m: decode(m, declared), rate=30, capacity=12)
            for camera in cell.policy_cameras
        }
        assembler = Assembler(cell, states, cameras)
        joints = cdr.JointState(cell.joints, posture(cell))
        finger = cdr.JointState((cell.arms[0].gripper.joint,), np.array([0.02]))
        for n in range(400):
            states[cell.joint_states.topic].push(joints, T0 + n * MS, n * MS)
        message = [
            Image("rgb8", width, height, width * 3, memoryview(p).cast("B")) for p in pictures
        ]

        def assemble(n: int) -> None:
            t = T0 + (400 + n) * MS
            states[cell.joint_states.topic].push(joints, t, t - T0)
            states[cell.arms[0].gripper.state_topic].push(finger, t, t - T0)
            for camera in cameras.values():
                camera.push(message[n % 4], t, t - T0)
            assembler.assemble(t, "stir")

        show(f"assemble, 3 cameras {width} x {height}, raw", cost(assemble))
        show(
            f"  of which one hash of {width} x {height}", cost(lambda _: pixel_digest(pictures[0]))
        )


def streams() -> None:
    ring = Ring(cdr.read_joint_state, rate=1000, capacity=400)
    for n in range(400):
        ring.push(JOINTS, T0 + n * MS, n * MS)
    show(
        "1000 joint states into a ring of 400, stamp read",
        cost(
            lambda n: [
                ring.push(JOINTS, T0 + (400 + 1000 * n + k) * MS + 0 * cdr.read_stamp(JOINTS), 0)
                for k in range(1000)
            ]
        ),
    )


if __name__ == "__main__":
    show("ms", "   p50    p99")
    gates()
    assemblies()
    streams()
