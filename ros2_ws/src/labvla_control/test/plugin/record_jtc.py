"""Records what the real joint_trajectory_controller makes of chunk streams: input and output.

usage: record_jtc.py OUTPUT_FOLDER [--seconds 8] [--wires NAME ...]
Needs labvla_policy on the path.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from chunk_stream import Array, Chunk, Shape, Stream
from control_msgs.msg import JointTrajectoryControllerState
from controller_manager_rig import Manager, Recording, wait_for
from mock_robot import dual_fr3, joint_names
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from labvla_policy.runtime.adapters.jtc import jtc_trajectory
from labvla_policy.runtime.adapters.trajectory import Reference
from labvla_policy.runtime.types import Prediction

HERE = Path(__file__).parent
CONTROLLERS = ("jtc_from_reference", "jtc_from_measured")
JOINTS = joint_names("left_") + joint_names("right_")
LEAD = 0.010  # s that the first row of a trimmed chunk lies after its publication


class Wire(NamedTuple):
    """How a chunk is put on the wire as it is; the adapter's way is None."""

    velocities: bool
    stamp: str  # "absolute" or "zero"
    trimmed: bool


WIRES: dict[str, Wire | None] = {
    "adapter": None,
    "positions_trimmed": Wire(velocities=False, stamp="absolute", trimmed=True),
    "velocities_trimmed": Wire(velocities=True, stamp="absolute", trimmed=True),
    "velocities_past": Wire(velocities=True, stamp="absolute", trimmed=False),
    "velocities_zero_stamp": Wire(velocities=True, stamp="zero", trimmed=False),
}


class Sent(NamedTuple):
    """One message as it went out; times of rows are relative to the stamp."""

    publish_ns: int
    stamp_ns: int
    times: Array
    positions: Array
    velocities: Array


def to_wire(chunk: Chunk, epoch_ns: int, now_ns: int, shape: Shape, wire: Wire) -> Sent:
    velocities = np.gradient(chunk.targets, shape.row_period, axis=0)
    velocities[-1] = 0.0  # the controller's default refuses anything else
    times = shape.row_period * np.arange(len(chunk.targets))
    start_ns = epoch_ns + round(chunk.start * 1e9)
    first = 0
    if wire.trimmed:
        first = int(np.argmax(start_ns + times * 1e9 > now_ns + LEAD * 1e9))
    elif wire.stamp == "zero":
        first = 1  # a first row at time zero would be a step
    if not wire.velocities:
        velocities = np.full_like(velocities, np.nan)
    stamp_ns = start_ns if wire.stamp == "absolute" else 0
    return Sent(now_ns, stamp_ns, times[first:], chunk.targets[first:], velocities[first:])


def adapted(chunk: Chunk, epoch_ns: int, now_ns: int, shape: Shape, state: Any) -> Sent:
    """Return what labvla_policy's adapter makes of the chunk."""
    stamp = state.header.stamp
    reference = Reference(
        stamp.sec * 10**9 + stamp.nanosec,
        tuple(state.joint_names),
        np.array(state.reference.positions),
        np.array(state.reference.velocities),
    )
    plan = Prediction(
        plan_start=epoch_ns + round(chunk.start * 1e9),
        dt=shape.row_period,
        joint_names=tuple(JOINTS),
        joint_targets=chunk.targets,
        gripper_names=(),
        gripper_targets=np.empty((len(chunk.targets), 0)),
    )
    made = jtc_trajectory(plan, reference, now_ns)
    return Sent(now_ns, made.stamp, made.times_from_start, made.positions, made.velocities)


def to_message(sent: Sent) -> JointTrajectory:
    message = JointTrajectory(joint_names=JOINTS)
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(sent.stamp_ns, 10**9)
    for at, position, velocity in zip(sent.times, sent.positions, sent.velocities, strict=True):
        point = JointTrajectoryPoint(positions=position.tolist())
        if np.all(np.isfinite(velocity)):
            point.velocities = velocity.tolist()
        nanoseconds = round(at * 1e9)
        point.time_from_start.sec, point.time_from_start.nanosec = divmod(nanoseconds, 10**9)
        message.points.append(point)
    return message


def run(
    manager: Manager,
    name: str,
    stream: Stream,
    wire: Wire | None,
    seconds: float,
    recording: Recording,
) -> list[Sent]:
    publisher = manager.publisher(JointTrajectory, f"{name}/joint_trajectory")
    epoch_ns = time.time_ns() + 200_000_000
    sent = []
    for index in range(int(seconds / stream.shape.chunk_period)):
        chunk = stream.chunk(index)
        due_ns = epoch_ns + round(chunk.publish * 1e9)
        time.sleep(max(0.0, (due_ns - time.time_ns()) * 1e-9))
        now_ns = time.time_ns()
        if wire is None:
            sent.append(adapted(chunk, epoch_ns, now_ns, stream.shape, recording.last()))
        else:
            sent.append(to_wire(chunk, epoch_ns, now_ns, stream.shape, wire))
        publisher.publish(to_message(sent[-1]))
    time.sleep(stream.shape.rows * stream.shape.row_period + 0.3)
    manager.node.destroy_publisher(publisher)
    return sent


def save(path: Path, sent: list[Sent], recording: Recording) -> None:
    rows = max(len(s.times) for s in sent)

    def padded(values: Array) -> Array:
        pad = [(0, rows - len(values))] + [(0, 0)] * (values.ndim - 1)
        return np.pad(values, pad, constant_values=np.nan)

    states = [message for _, message in recording.messages()]

    def table(part: str, field: str) -> Array:
        return np.array([getattr(getattr(s, part), field) for s in states])

    np.savez_compressed(
        path,
        joint_names=np.array(JOINTS),
        publish_ns=np.array([s.publish_ns for s in sent]),
        stamp_ns=np.array([s.stamp_ns for s in sent]),
        rows=np.array([len(s.times) for s in sent]),
        row_times=np.stack([padded(s.times) for s in sent]),
        positions=np.stack([padded(s.positions) for s in sent]),
        velocities=np.stack([padded(s.velocities) for s in sent]),
        reference_ns=np.array(
            [s.header.stamp.sec * 10**9 + s.header.stamp.nanosec for s in states]
        ),
        reference_positions=table("reference", "positions"),
        reference_velocities=table("reference", "velocities"),
        reference_accelerations=table("reference", "accelerations"),
        measured_positions=table("feedback", "positions"),
        measured_velocities=table("feedback", "velocities"),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--wires", nargs="+", choices=WIRES, default=list(WIRES))
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with Manager(
        dual_fr3(), [HERE / "params/dual_jtc.yaml"], options.folder / "manager.log"
    ) as manager:
        manager.load(*CONTROLLERS)
        for name in CONTROLLERS:
            assert manager.switch(activate=[name])
            recording = manager.record(JointTrajectoryControllerState, f"{name}/controller_state")
            wait_for(lambda r=recording: len(r), f"{name}'s state")
            for label in options.wires:
                wire = WIRES[label]
                # Starting from where the last stream ended, so that no stream begins with a jump.
                home = np.array(recording.last().reference.positions)
                stream = Stream(home, Shape(), seed=7)
                recording.clear()
                sent = run(manager, name, stream, wire, options.seconds, recording)
                save(options.folder / f"{name}-{label}.npz", sent, recording)
                gaps = np.diff(
                    [
                        m.header.stamp.sec + m.header.stamp.nanosec * 1e-9
                        for _, m in recording.messages()
                    ]
                )
                print(
                    f"{name} {label}: {len(sent)} chunks, {len(recording)} states, "
                    f"largest gap {gaps.max() * 1e3:.1f} ms"
                )
            assert manager.switch(deactivate=[name])


if __name__ == "__main__":
    main()
