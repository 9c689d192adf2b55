"""How soon a stop is felt: from the call of a client to the first sample behind the plan's pace."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
from std_srvs.srv import Trigger

from labvla_bringup.campaign.bench import Bench, BenchError
from labvla_bringup.campaign.run import MOTION, REST, STANDSTILL, Violation, violations_of
from labvla_msgs.msg import ControllerState
from labvla_msgs.srv import WatchInvariants
from labvla_policy.runtime.cell import Cell

LIMIT = 0.030  # s, p99 on two busy cores
SCENE = 8  # stops between two scenes: an episode is over after a dozen


@dataclass(frozen=True)
class Stop:
    """One stop during motion."""

    slowing: float  # s by the machine's clock
    standing: float  # s by the plant's ticks


@dataclass(frozen=True)
class Measured:
    """All stops, and what the monitor saw meanwhile."""

    stops: tuple[Stop, ...]
    violations: tuple[Violation, ...]
    busy: int  # processes that did nothing but compute

    @property
    def good(self) -> bool:
        """Whether stops are felt and end in time."""
        standing = max(stop.standing for stop in self.stops)
        return self.p99 <= LIMIT and standing <= STANDSTILL and not self.violations

    @property
    def p50(self) -> float:
        """Median."""
        return self._quantile(0.5)

    @property
    def p99(self) -> float:
        """99th percentile."""
        return self._quantile(0.99)

    @property
    def longest(self) -> float:
        """The slowest of all."""
        return self._quantile(1.0)

    def _quantile(self, q: float) -> float:
        return float(np.quantile([stop.slowing for stop in self.stops], q))

    def as_data(self) -> dict[str, Any]:
        """Return everything, for a file."""
        return {
            "ok": self.good,
            "n": len(self.stops),
            "busy_processes": self.busy,
            "cores": os.cpu_count(),
            "slowing_p50": self.p50,
            "slowing_p99": self.p99,
            "slowing_max": self.longest,
            "slowing_limit": LIMIT,
            "standing_max": max(stop.standing for stop in self.stops),
            "standing_limit": STANDSTILL,
            "violations": [asdict(one) for one in self.violations],
            "rows": [asdict(stop) for stop in self.stops],
        }


@contextmanager
def busy_cores() -> Iterator[int]:
    """Keep every core busy with something else; yield with how many processes."""
    count = os.cpu_count() or 1
    command = [sys.executable, "-c", "while True: pass"]
    children = [subprocess.Popen(command) for _ in range(count)]
    try:
        yield count
    finally:
        for child in children:
            child.kill()
            child.wait()


def measure(
    cell: Cell, folder: Path, count: int, seed: int, tell: Callable[[Stop], None]
) -> Measured:
    """Stop the arm in motion so many times, on the controller's own service."""
    random = np.random.default_rng(seed)
    stops: list[Stop] = []
    broken: list[Violation] = []
    with Bench(cell, folder) as bench, busy_cores() as busy:
        client = bench.graph.node.create_client(Trigger, f"{cell.controller.name}/stop")
        bench.until(client.service_is_ready, "the controller offers its stop", REST)
        while len(stops) < count:
            wording = bench.put_up("pick", seed + len(stops))
            bench.watch(WatchInvariants.Request.BEGIN)
            for _ in range(min(SCENE, count - len(stops))):
                stop = _one(bench, client, wording, float(random.uniform(0.0, 0.3)))
                stops.append(stop)
                tell(stop)
            broken += violations_of(bench.watch(WatchInvariants.Request.END).invariants)
    return Measured(tuple(stops), tuple(broken), busy)


def _one(bench: Bench, client: Any, wording: str, delay: float) -> Stop:
    bench.insist(wording)
    bench.until(lambda: bench.observer.moving, "the arm moves", MOTION)
    bench.wait_for_seconds(delay)
    instant = time.monotonic_ns()
    answer = client.call_async(Trigger.Request())
    bench.until(answer.done, "the stop is answered", REST)
    bench.until(lambda: _mode(bench) == ControllerState.STOPPED, "the arm is stopped", REST)
    after = bench.watch(WatchInvariants.Request.REPORT, (instant,))
    stop = Stop(float(after.slowing_after[0]), float(after.standing_after[0]))
    if isnan(stop.slowing) or isnan(stop.standing):
        raise BenchError("a stop left no trace in the reference: did the arm move at all?")
    bench.insist("")
    bench.trigger("labvla/recover")
    bench.until(lambda: _mode(bench) == ControllerState.HOLD, "the stop is cleared", REST)
    return stop


def _mode(bench: Bench) -> int:
    state = bench.observer.state
    return -1 if state is None else int(state.mode)
