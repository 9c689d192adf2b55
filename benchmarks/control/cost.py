"""What one control cycle costs."""

from __future__ import annotations

from typing import Any

import numpy as np

import labvla_control
from benchmarks.control.arm import load_arm
from benchmarks.control.methods.labvla import deliveries
from benchmarks.control.streams import Scenario, make_stream

CELLS = ("franka", "dual_franka")

_MICROSECOND = 1000.0


def measure_cost(repeats: int, duration: float) -> list[dict[str, Any]]:
    """Time every `update` of a stream with a splice every 100 ms, for one arm and for two.

    The stream is the same in every repetition and so is the work of a given cycle: its smallest
    time over the repetitions is the cost of the code, the rest is the machine (interrupts, other
    processes). Both are reported.
    """
    return [_measure(cell, repeats, duration) for cell in CELLS]


def _measure(cell: str, repeats: int, duration: float) -> dict[str, Any]:
    arm = load_arm(cell)
    scenario = Scenario("sines", 0.010, 0.001, 50, 0.1, "rough", seed=1, duration=duration)
    stream = make_stream(scenario, arm)
    length = stream.cycles * arm.period
    config, chunks = arm.controller_config(), deliveries(stream)
    runs = np.array(
        [labvla_control.time_updates(config, stream.start, chunks, length) for _ in range(repeats)]
    )
    return {
        "cell": cell,
        "joints": len(arm.joints),
        "cycles": int(runs.size),
        "repeats": repeats,
        **_percentiles("wall", runs.ravel()),
        **_percentiles("code", runs.min(axis=0)),
    }


def _percentiles(kind: str, nanoseconds: Any) -> dict[str, float]:
    microseconds = np.asarray(nanoseconds) / _MICROSECOND
    return {
        f"{kind}_p50_us": float(np.percentile(microseconds, 50)),
        f"{kind}_p999_us": float(np.percentile(microseconds, 99.9)),
        f"{kind}_max_us": float(microseconds.max()),
    }
