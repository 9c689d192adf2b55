"""Measures what our controller, JTC and CRISP make of the same chunks, and prints it as JSON.

usage: measure_backends.py [--kinds labvla jtc crisp] [--hardware mock mujoco] [--chunks 100]
                           [--kills 10] [--bridge-kills 5] [--stops 10] [--rate HZ] [--out FILE]
Needs the real controller manager (docs/results, robot mode). A pair that cannot be run says why.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from backend_rig import HARDWARE, KINDS, PLUGIN_TESTS, Backend, running, what_is_missing
from cell_rig import CONTROLLER
from chunk_stream import Shape, Stream
from controller_manager_rig import end_process, wait_for
from recorded_motion import TRACKING, nanoseconds
from sensor_msgs.msg import JointState

from labvla_msgs.msg import ControllerState

STANDING = 0.01  # rad/s; a MuJoCo arm on springs is never quite still
STANDS = 0.4  # s without motion are a standstill
WINDOW = 0.01  # s over which accelerations are taken: the difference of two cycles is noise
SEED = 7


class Track:
    """Measured joints over time, in the cell's order."""

    def __init__(self, messages: list[Any], joints: tuple[str, ...]) -> None:
        order = [list(messages[0].name).index(joint) for joint in joints]
        stamps = np.array([nanoseconds(m.header.stamp) for m in messages])
        fresh = np.append(True, np.diff(stamps) > 0)
        self.stamps = stamps[fresh]
        self.positions = np.array([m.position for m in messages])[fresh][:, order]
        self.velocities = np.array([m.velocity for m in messages])[fresh][:, order]

    def at(self, stamps: np.ndarray) -> np.ndarray:
        """Return positions at times."""
        return np.column_stack([np.interp(stamps, self.stamps, p) for p in self.positions.T])

    def after(self, stamp: int) -> Track:
        """Return what came after a time."""
        part = object.__new__(Track)
        cut = int(np.searchsorted(self.stamps, stamp))
        part.stamps = self.stamps[cut:]
        part.positions, part.velocities = self.positions[cut:], self.velocities[cut:]
        return part

    def standstill(self) -> int:
        """Return the stamp from which all joints stand."""
        moving = np.flatnonzero(np.abs(self.velocities).max(axis=1) > STANDING)
        return int(self.stamps[min(moving[-1] + 1, len(self.stamps) - 1)] if moving.size else 0)

    def acceleration(self) -> np.ndarray:
        """Return the largest acceleration of each joint."""
        t = np.arange(self.stamps[0], self.stamps[-1], round(WINDOW * 1e9))
        speeds = np.column_stack([np.interp(t, self.stamps, v) for v in self.velocities.T])
        return np.abs(np.diff(speeds, axis=0)).max(axis=0, initial=0.0) / WINDOW


class Bench:
    """A backend, its recordings, and what is done to it."""

    def __init__(self, backend: Backend, hardware: str) -> None:
        self.backend, self.hardware, manager = backend, hardware, backend.manager
        self.joints = backend.cell.joints
        limits = backend.cell.arms[0].operating_limits
        self.limits = {
            "velocity": np.array(limits.velocity),
            "acceleration": np.array(limits.acceleration),
        }
        self.measured = manager.record(JointState, backend.cell.joint_states.topic)
        self.states = manager.record(ControllerState, f"{CONTROLLER}/state")
        wait_for(lambda: len(self.measured) and len(self.states), "states")

    def track(self) -> Track:
        return Track([message for _, message in self.measured.messages()], self.joints)

    def begin(self, *arguments: str) -> tuple[Any, int]:
        """Start a sender; return it and the time of its first observation."""
        self.measured.clear()
        sender = subprocess.Popen(
            [sys.executable, PLUGIN_TESTS / "chunk_sender.py", *arguments],
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        return sender, int(sender.stdout.readline())

    def wait_for_motion(self, patience: float = 30.0) -> None:
        def moving() -> bool:
            return float(np.abs(self.measured.last().velocity).max()) > 0.08

        wait_for(moving, "motion", patience)

    def wait_for_standstill(self) -> None:
        begin = time.monotonic()
        while time.monotonic() - begin < STANDS:
            if np.abs(self.measured.last().velocity).max() > STANDING:
                begin = time.monotonic()
            time.sleep(0.01)

    def share(self, track: Track) -> dict[str, float]:
        """Return the largest share of each operating limit; NaN where joints have no inertia.

        A mock joint is where it was told in the cycle before: a late cycle looks like a jump.
        """
        if self.hardware == "mock":
            return dict.fromkeys(self.limits, math.nan)
        speeds = np.abs(track.velocities).max(axis=0)
        return {
            "velocity": float((speeds / self.limits["velocity"]).max()),
            "acceleration": float((track.acceleration() / self.limits["acceleration"]).max()),
        }


def following(bench: Bench, chunks: int) -> dict[str, Any]:
    before = bench.states.last()
    home = np.array(before.reference_positions)[::-1]
    sender, epoch = bench.begin("--chunks", str(chunks), "--seed", str(SEED))
    sender.wait()
    end_ns = epoch + round(((chunks - 1) * Shape.chunk_period + Shape.latency) * 1e9)
    bench.wait_for_standstill()
    track, after = bench.track(), bench.states.last()
    t = np.arange(epoch + 1_000_000_000, end_ns, 2_000_000)
    truth = Stream(home, Shape(), SEED).truth((t - epoch) * 1e-9)[:, ::-1]
    lags = np.arange(-50, 401, 5)  # ms
    errors = [float(np.sqrt(np.mean((track.at(t + 1_000_000 * k) - truth) ** 2))) for k in lags]
    best = int(np.argmin(errors))
    return {
        "chunks": chunks,
        "accepted": after.chunks_accepted - before.chunks_accepted,
        "refused": after.chunks_refused - before.chunks_refused,
        "rms_to_meaning_mrad": 1e3 * errors[int(np.flatnonzero(lags == 0)[0])],
        "lag_ms": int(lags[best]),
        "rms_at_that_lag_mrad": 1e3 * errors[best],
        "share_of_operating_limits": bench.share(track),
    }


def quantiles(values: list[float]) -> dict[str, float]:
    return {"n": len(values), "p50": float(np.median(values)), "max": max(values)}


class Halts:
    """Ways in which a motion was ended, collected."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.standing: list[float] = []
        self.way: list[float] = []
        self.acceleration: list[float] = []
        self.speed: list[float] = []

    def add(self, at: int) -> None:
        """Note how the arm came to rest after `at`."""
        self._bench.wait_for_standstill()
        track = self._bench.track().after(at)
        self.standing.append(max(0.0, (track.standstill() - at) * 1e-6))
        self.way.append(float(np.abs(track.positions - track.positions[0]).max()))
        self.speed.append(float(np.abs(track.velocities[0]).max()))
        self.acceleration.append(self._bench.share(track)["acceleration"])

    def result(self) -> dict[str, Any]:
        return {
            "speed_before_rad_s": quantiles(self.speed),
            "to_standstill_ms": quantiles(self.standing),
            "way_until_then_rad": quantiles(self.way),
            "acceleration_as_share_of_operating_limit": quantiles(self.acceleration),
        }


def policy_kills(bench: Bench, count: int) -> dict[str, Any]:
    halts, rng = Halts(bench), np.random.default_rng(1)
    for seed in range(count):
        sender, _ = bench.begin("--seed", str(seed))
        bench.wait_for_motion()
        time.sleep(rng.uniform(0.0, 0.6))
        sender.kill()
        halts.add(time.time_ns())
        sender.communicate()
    return halts.result()


def bridge_kills(bench: Bench, count: int) -> dict[str, Any]:
    """The policy goes on sending; only who translates is gone."""
    halts, rng, again = Halts(bench), np.random.default_rng(2), []
    for seed in range(count):
        sender, _ = bench.begin("--seed", str(seed))
        bench.wait_for_motion()
        time.sleep(rng.uniform(0.0, 0.6))
        bench.backend.bridge.kill()
        halts.add(time.time_ns())
        bench.backend.bridge.wait()
        end_process(sender)
        sender.communicate()
        bench.states.clear()
        begun = time.monotonic()
        bench.backend.start_bridge()
        wait_for(lambda: len(bench.states), "the bridge")
        sender, _ = bench.begin("--seed", str(seed))
        bench.wait_for_motion(60.0)
        again.append(1e3 * (time.monotonic() - begun))
        end_process(sender)
        sender.communicate()
        bench.wait_for_standstill()
    return {**halts.result(), "new_bridge_to_motion_ms": quantiles(again)}


def stops(bench: Bench, count: int) -> dict[str, Any]:
    halts, rng = Halts(bench), np.random.default_rng(3)
    manager = bench.backend.manager
    for seed in range(count):
        sender, _ = bench.begin("--seed", str(seed))
        bench.wait_for_motion()
        time.sleep(rng.uniform(0.0, 0.6))
        asked = time.time_ns()
        manager.trigger(f"{CONTROLLER}/stop")
        halts.add(asked)
        end_process(sender)
        sender.communicate()
        assert bench.states.last().mode != TRACKING
        assert manager.trigger(f"{CONTROLLER}/reset_stop").success
    return halts.result()


def measure(kind: str, hardware: str, options: argparse.Namespace) -> dict[str, Any]:
    if reason := what_is_missing(kind, hardware):
        return {"not_run": reason}
    if kind == "crisp" and hardware == "mock":
        return {"not_run": "mock joints do not move by torques"}
    with (
        tempfile.TemporaryDirectory() as folder,
        running(kind, hardware, Path(folder), options.rate) as backend,
    ):
        bench = Bench(backend, hardware)
        result = {
            "following": following(bench, options.chunks),
            "policy_sigkill": policy_kills(bench, options.kills),
            "stop": stops(bench, options.stops),
        }
        if kind != "labvla":
            result["bridge_sigkill"] = bridge_kills(bench, options.bridge_kills)
        result["overruns_logged"] = backend.manager.log().count("missed cycles")
    return result


def text_of(result: dict[str, Any]) -> str:
    def known(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: known(inner) for name, inner in value.items()}
        return None if isinstance(value, float) and math.isnan(value) else value

    return json.dumps(known(result), indent=2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--hardware", nargs="+", choices=HARDWARE, default=list(HARDWARE))
    parser.add_argument("--chunks", type=int, default=100)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--bridge-kills", type=int, default=5)
    parser.add_argument("--stops", type=int, default=10)
    parser.add_argument("--rate", type=float, help="Hz of the manager; the cell's own")
    parser.add_argument("--out", type=Path, help="file that is written after every pair")
    options = parser.parse_args()
    result = {}
    for hardware in options.hardware:
        for kind in options.kinds:
            name = f"{kind}_{hardware}"
            result[name] = measure(kind, hardware, options)
            print(f"{name}: done", file=sys.stderr, flush=True)
            if options.out:
                options.out.write_text(text_of(result))
    print(text_of(result))


if __name__ == "__main__":
    main()
