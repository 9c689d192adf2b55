"""Prints what assembly and gate cost on one core: the figures of docs/runtime.md.

    OPENBLAS_NUM_THREADS=1 python ros2_ws/src/labvla_policy/test/runtime/measure.py

Processor time of this process, so that other work on the machine hardly counts.
"""

import sys
import time
from collections.abc import Callable

import numpy as np
from jogging_hand import TICK, Hand
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
COURSE = np.linspace(0, 1, 50)[:, np.newaxis]


def cost(action: Callable[[int], object]) -> str:
    times = []
    for n in range(REPEATS):
        begin = time.process_time_ns()
        action(n)
        times.append((time.process_time_ns() - begin) / 1e6)
    return f"{np.median(times):6.2f} {np.quantile(times, 0.99):6.2f}"


def show(what: str, figures: str) -> None:
    sys.stdout.write(f"{what:56s} {figures}\n")


def measure_gate(name: str) -> None:
    cell = cell_of(name)
    gate, now, start = Gate(cell), at_rest(cell), posture(cell)
    plan = plan_of(cell, start + COURSE * 0.1 * np.sign(np.arange(len(start)) - 2.5))
    show(f"gate, {name}, {len(COURSE)} rows, free", cost(lambda _: gate.check(plan, now)))


def measure_narrow_gate() -> None:
    """The slowest kind of plan: doubtful between all rows."""
    cell = cell_of("franka")
    low = posture(cell)
    low[[1, 5]] += 0.785  # fingers half a millimetre above the bench
    turn = np.array([0.4, 0, 0, 0, 0, 0, 0])
    gate, now, plan = Gate(cell), at_rest(cell, low), plan_of(cell, low + COURSE * turn)
    show("gate, franka, 0.5 mm above the bench", cost(lambda _: gate.check(plan, now)))


def measure_jog(name: str, what: str, velocity: tuple[float, float, float]) -> None:
    """A piece with everything: kinematics, the way to the stop, gate, 30 controller cycles."""
    hand = Hand(name)
    show(
        f"jog, {name}, {what}",
        cost(lambda _: hand.run(TICK / 1000, *velocity, 0.0, 0.0, 0.0)),
    )


def measure_assembly(width: int, height: int) -> None:
    cell = cell_of("franka")
    declared = ImageFormat("rgb8", width, height)
    arms, gripper = cell.joint_states.topic, cell.arms[0].gripper
    states = {
        topic: Ring(lambda raw: raw, rate=1000, capacity=400)
        for topic in (arms, gripper.state_topic)
    }
    cameras = {
        camera.name: Ring(lambda message: decode(message, declared), rate=30, capacity=12)
        for camera in cell.policy_cameras
    }
    assembler = Assembler(cell, states, cameras)
    joints = cdr.JointState(cell.joints, posture(cell))
    finger = cdr.JointState((gripper.joint,), np.array([0.02]))
    pictures = np.random.default_rng(0).integers(0, 255, (4, height, width, 3), np.uint8)
    messages = [
        Image("rgb8", width, height, width * 3, memoryview(picture).cast("B"))
        for picture in pictures
    ]
    for n in range(400):
        states[arms].push(joints, T0 + n * MS, n * MS)

    def assemble(n: int) -> None:
        t = T0 + (400 + n) * MS
        states[arms].push(joints, t, t - T0)
        states[gripper.state_topic].push(finger, t, t - T0)
        for camera in cameras.values():
            camera.push(messages[n % 4], t, t - T0)
        assembler.assemble(t, "stir")

    show(f"assemble, 3 cameras {width} x {height}, raw", cost(assemble))
    show(f"  one hash of {width} x {height}", cost(lambda _: pixel_digest(pictures[0])))


def measure_ring() -> None:
    ring = Ring(cdr.read_joint_state, rate=1000, capacity=400)

    def push(n: int) -> None:
        for k in range(1000):
            at = (1000 * n + k) * MS
            ring.push(JOINTS, cdr.read_stamp(JOINTS) + at, at)

    show("1000 joint states into a ring of 400", cost(push))


if __name__ == "__main__":
    show("ms", "   p50    p99")
    for cell_name in ("franka", "ur5e", "dual_arm", "dual_franka"):
        measure_gate(cell_name)
    measure_narrow_gate()
    for cell_name in ("franka", "ur5e", "dual_arm"):
        measure_jog(cell_name, "free", (0.02, 0.02, 0.02))
    measure_jog("franka", "into the bench", (0.0, 0.0, -0.12))
    measure_assembly(224, 224)
    measure_assembly(640, 480)
    measure_ring()
