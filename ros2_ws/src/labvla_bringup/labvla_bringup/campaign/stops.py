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

from labvla_bringup.campaign.bench import Bench
from labvla_bringup.campaign.run import REST, STANDSTILL, Violation, violations_of
from labvla_msgs.msg import ControllerState
from labvla_msgs.srv import WatchInvariants
from labvla_policy.runtime.cell import Cell

LIMIT = 0.030  # s, p99 on two busy cores
AT_WORK = 5.0  # s in which an arm moves that has something left to do
LATEST = 0.3  # s after the motion began, of the random moment of a stop
SETTLED = 0.1  # s of rest that the monitor has to have seen
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
    not_counted: int  # the arm stood or slowed down by itself when they were called
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
            "not_counted": self.not_counted,
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
    # In sessions of their own, as other people's work: the kernel shares the cores by session.
    children = [subprocess.Popen(command, start_new_session=True) for _ in range(count)]
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
    not_counted = 0
    broken: list[Violation] = []
    with Bench(cell, folder) as bench, busy_cores() as busy:
        client = bench.graph.node.create_client(Trigger, f"{cell.controller.name}/stop")
        bench.until(client.service_is_ready, "the controller offers its stop", REST)
        while len(stops) < count:
            wording = bench.put_up("pick", seed + len(stops) + not_counted)
            bench.watch(WatchInvariants.Request.BEGIN)
            for _ in range(SCENE):
                bench.insist(wording)
                if not bench.graph.spin_until(lambda: bench.observer.moving, AT_WORK):
                    break  # the work is done
                bench.wait_for_seconds(float(random.uniform(0.0, LATEST)))
                stop = _stop(bench, client)
                if isnan(stop.slowing):
                    not_counted += 1
                elif len(stops) < count:
                    stops.append(stop)
                    tell(stop)
            broken += violations_of(bench.watch(WatchInvariants.Request.END).invariants)
    return Measured(tuple(stops), not_counted, tuple(broken), busy)


def _stop(bench: Bench, client: Any) -> Stop:
    instant = time.monotonic_ns()
    answer = client.call_async(Trigger.Request())
    bench.until(answer.done, "the stop is answered", REST)
    bench.until(lambda: _mode(bench) == ControllerState.STOPPED, "the arm is stopped", REST)
    bench.wait_for_seconds(SETTLED)
    after = bench.watch(WatchInvariants.Request.REPORT, (instant,))
    bench.insist("")
    bench.trigger("labvla/recover")
    bench.until(lambda: _mode(bench) == ControllerState.HOLD, "the stop is cleared", REST)
    return Stop(float(after.slowing_after[0]), float(after.standing_after[0]))


def _mode(bench: Bench) -> int:
    state = bench.observer.state
    return -1 if state is None else int(state.mode)
