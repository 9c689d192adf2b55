"""Measures the controller under the real controller manager and prints the figures as JSON.

usage: measure.py [--chunks 300] [--stops 40] [--kills 20] [--jtc FOLDER_OF_RECORD_JTC]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from cell_rig import CONTROLLER, HERE, PERIOD, Cell
from chunk_stream import Array, Shape, Stream
from controller_manager_rig import Manager, wait_for
from diagnostic_msgs.msg import DiagnosticArray
from mock_robot import dual_fr3
from recorded_motion import STOPPING, Motion
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

DUAL = HERE / "params" / "dual_fr3_position.yaml"
SEED = 7


def rms_to(stream: Stream, seconds: Array, positions: Array) -> float:
    """Return the distance from what the chunks mean, the first second left out (it starts late)."""
    during = seconds > 1.0
    error = positions[during] - stream.truth(seconds[during])
    return float(np.sqrt(np.mean(error**2)))


def steps(positions: Array, velocities: Array, period: float) -> dict[str, float]:
    """Return the largest changes from cycle to cycle, positions differenced where no field says."""
    return {
        "position_step_mrad": 1e3 * float(np.abs(np.diff(positions, axis=0)).max()),
        "velocity_step_mrad_s": 1e3 * float(np.abs(np.diff(velocities, axis=0)).max()),
        "velocity_step_as_acceleration": float(np.abs(np.diff(velocities, axis=0)).max() / period),
    }


def quantiles(milliseconds: list[float]) -> dict[str, float]:
    values = np.array(milliseconds)
    return {
        "n": len(values),
        "p50": float(np.quantile(values, 0.5)),
        "p99": float(np.quantile(values, 0.99)),
        "max": float(values.max()),
    }


def following(cell: Cell, chunks: int) -> dict[str, Any]:
    cell.activate()
    before = cell.states.last()
    sender = cell.send("--chunks", str(chunks), "--seed", str(SEED))
    epoch_ns = int(sender.stdout.readline())
    sender.wait()
    last_chunk_ns = epoch_ns + round(((chunks - 1) * Shape.chunk_period + Shape.latency) * 1e9)
    cell.wait_for_standstill()
    last = cell.states.last()
    motion = cell.motion()
    stream = Stream(motion.position[0][::-1], Shape(), SEED)
    during = motion.part(epoch_ns, last_chunk_ns)
    seconds = (during.stamps - epoch_ns) * 1e-9
    result = {
        "chunks": chunks,
        "accepted": last.chunks_accepted - before.chunks_accepted,
        "refused": last.chunks_refused - before.chunks_refused,
        "cycles": len(motion.stamps),
        "samples_limited": last.samples_limited,
        "share_of_limits": motion.usage(cell.limits),
        "rms_to_meaning_mrad": 1e3 * rms_to(stream, seconds, during.position[:, ::-1]),
        **steps(motion.position, motion.velocity, PERIOD),
        "manager_update_microseconds": cost(cell.manager),
    }
    cell.deactivate()
    return result


def cost(manager: Manager) -> dict[str, str]:
    recording = manager.record(DiagnosticArray, "diagnostics")

    def entries() -> dict[str, str]:
        found = {}
        for _, array in recording.messages():
            for status in array.status:
                for item in status.values:
                    if item.key.startswith(CONTROLLER) and "time" in item.key:
                        found[item.key] = item.value
        return found

    try:
        return wait_for(entries, "execution times", patience=5.0)
    except TimeoutError:
        return {}


def kills(cell: Cell, count: int) -> dict[str, Any]:
    slowing, standing, after_last_chunk, worst = [], [], [], {}
    rng = np.random.default_rng(1)
    for seed in range(count):
        cell.activate()
        sender = cell.send("--seed", str(seed))
        epoch_ns = int(sender.stdout.readline())
        cell.wait_for_motion()
        time.sleep(rng.uniform(0.0, 0.6))
        sender.kill()
        killed_ns = time.time_ns()
        sent = [int(line) for line in sender.stdout.read().split()]
        cell.wait_for_standstill()
        motion = cell.motion()
        chunk_ns = epoch_ns + round((sent[-1] * Shape.chunk_period + Shape.latency) * 1e9)
        slowing.append((motion.first(STOPPING) - killed_ns) * 1e-6)
        standing.append((motion.standstill() - killed_ns) * 1e-6)
        after_last_chunk.append((motion.standstill() - chunk_ns) * 1e-6)
        keep_worst(worst, motion, cell)
        cell.deactivate()
    return {
        "kill_to_begin_of_slowing_ms": quantiles(slowing),
        "kill_to_standstill_ms": quantiles(standing),
        "last_chunk_to_standstill_ms": quantiles(after_last_chunk),
        "largest_share_of_limits": worst,
    }


def stops(cell: Cell, count: int) -> dict[str, Any]:
    slowing, slower, standing, worst = [], [], [], {}
    cell.trigger("stop")  # only so that the service is found before it is timed
    rng = np.random.default_rng(2)
    for seed in range(count):
        cell.activate()
        cell.send("--seed", str(seed))
        cell.wait_for_motion()
        time.sleep(rng.uniform(0.0, 0.6))
        asked_ns = time.time_ns()
        cell.trigger("stop")
        cell.wait_for_standstill()
        motion = cell.motion()
        begun_ns = motion.first(STOPPING)
        after = motion.part(begun_ns)
        speed = after.speed()
        slowing.append((begun_ns - asked_ns) * 1e-6)
        slower.append((after.stamps[np.argmax(speed < 0.99 * speed[0])] - asked_ns) * 1e-6)
        standing.append((motion.standstill() - asked_ns) * 1e-6)
        keep_worst(worst, motion, cell)
        cell.deactivate()
    return {
        "call_to_begin_of_slowing_ms": quantiles(slowing),
        "call_to_1_percent_slower_ms": quantiles(slower),
        "call_to_standstill_ms": quantiles(standing),
        "largest_share_of_limits": worst,
    }


def keep_worst(worst: dict[str, float], motion: Motion, cell: Cell) -> None:
    for name, share in motion.usage(cell.limits).items():
        worst[name] = max(share, worst.get(name, 0.0))


def switching(cell: Cell) -> dict[str, Any]:
    manager = cell.manager
    assert manager.switch(activate=["joint_state_broadcaster"])
    joints = manager.record(JointState, "joint_states")

    def largest_step(then: Any) -> dict[str, float]:
        joints.clear()
        time.sleep(0.1)
        then()
        time.sleep(0.2)
        positions = np.array([message.position for _, message in joints.messages()])
        velocities = np.array([message.velocity for _, message in joints.messages()])
        return steps(positions, velocities, PERIOD)

    def to_jtc() -> None:
        assert manager.switch(activate=["jtc"], deactivate=[CONTROLLER])

    def to_labvla() -> None:
        assert manager.switch(activate=[CONTROLLER], deactivate=["jtc"])

    cell.activate()
    cell.send("--chunks", "8").wait()
    cell.wait_for_standstill()
    result = {
        "at_rest_labvla_to_jtc": largest_step(to_jtc),
        "at_rest_jtc_to_labvla": largest_step(to_labvla),
    }
    cell.send()
    cell.wait_for_motion()
    result["moving_before_switch"] = largest_step(lambda: None)
    result["moving_labvla_to_jtc"] = largest_step(to_jtc)
    cell.end_senders()

    publisher = manager.publisher(JointTrajectory, "jtc/joint_trajectory")
    goal = np.array(cell.states.last().measured_positions) + 0.3
    point = JointTrajectoryPoint(positions=goal.tolist())
    point.time_from_start.sec = 1
    publisher.publish(JointTrajectory(joint_names=cell.joints, points=[point]))
    time.sleep(0.5)
    result["moving_jtc_to_labvla"] = largest_step(to_labvla)
    cell.wait_for_standstill()
    assert manager.switch(deactivate=[CONTROLLER, "joint_state_broadcaster"])
    return result


def of_jtc(path: Path) -> dict[str, Any]:
    """Return the same figures from a recording of the joint_trajectory_controller."""
    data = np.load(path)
    stamps, positions = data["reference_ns"], data["reference_positions"]
    epoch_ns = data["publish_ns"][0] - round(Shape.latency * 1e9)
    stream = Stream(positions[0], Shape(), SEED)
    during = (stamps >= epoch_ns) & (stamps <= data["publish_ns"][-1])
    seconds = (stamps[during] - epoch_ns) * 1e-9
    # Where a state was not published, two cycles' worth would look like one step.
    whole = np.abs(np.diff(stamps) * 1e-9 - PERIOD) < 0.25 * PERIOD

    def largest(values: Array) -> float:
        return float(np.abs(np.diff(values, axis=0))[whole].max())

    velocity_step = largest(data["reference_velocities"])
    return {
        "rms_to_meaning_mrad": 1e3 * rms_to(stream, seconds, positions[during]),
        "position_step_mrad": 1e3 * largest(positions),
        "velocity_step_mrad_s": 1e3 * velocity_step,
        "velocity_step_as_acceleration": velocity_step / PERIOD,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=300)
    parser.add_argument("--stops", type=int, default=40)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--jtc", type=Path)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        Manager(dual_fr3(), [DUAL], Path(folder, "manager.log")) as manager,
    ):
        manager.load("joint_state_broadcaster", "jtc", CONTROLLER)
        cell = Cell(manager, DUAL)
        result = {
            "following": following(cell, options.chunks),
            "sigkill": kills(cell, options.kills),
            "stop": stops(cell, options.stops),
            "switching": switching(cell),
            "overruns_logged": manager.log().count("missed cycles"),
        }
    if options.jtc:
        result["jtc"] = {path.stem: of_jtc(path) for path in sorted(options.jtc.glob("*.npz"))}
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
