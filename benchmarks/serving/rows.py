"""Rows about the server: latency and throughput by number of clients, and fairness.

serving_rows(policy)      for any ServedPolicy, such as a loaded checkpoint
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np

from labvla_policy.serving.background import in_background
from labvla_policy.serving.policy import ServedPolicy
from labvla_policy.serving.settings import ServerSettings

Row = dict[str, Any]

GREEDY = 7  # connections of the machine that asks for more than its share
HERE, ELSEWHERE = "127.0.0.1", "127.0.0.2"  # two machines, as far as the server can tell


@dataclass(frozen=True)
class Load:
    """How the server is asked."""

    clients: Sequence[int] = (1, 2, 4, 8)
    seconds: float = 5.0  # for each row
    size: int = 224  # pixels on a side of each picture


@dataclass(frozen=True)
class Crowd:
    """Some clients on one machine."""

    clients: int
    source: str = HERE


def serving_rows(policy: ServedPolicy, load: Load | None = None) -> Iterator[Row]:
    """Measure a policy behind the server; the rows say what the server itself adds."""
    load = load or Load()
    settings = ServerSettings(port=0, most_waiting=max(*load.clients, GREEDY + 1))
    with in_background(policy, settings) as port:
        uri = f"ws://{HERE}:{port}"
        for clients in load.clients:
            (tallies,) = _asked(uri, [Crowd(clients)], load)
            yield {"case": f"{clients} clients", "clients": clients, **_figures(tallies, load)}
        greedy, lone = _asked(uri, [Crowd(GREEDY), Crowd(1, ELSEWHERE)], load)
        answered = [_answered(tallies) for tallies in (greedy, lone)]
        yield {
            "case": f"{GREEDY} connections of one machine against 1 of another",
            "clients": GREEDY + 1,
            **_figures([*greedy, *lone], load),
            # Turns are taken by machine: 0.5 is fair, 1 / 8 is what connections alone would give.
            "share_of_the_lone_one": answered[1] / max(1, sum(answered)),
        }


def _asked(uri: str, crowds: Sequence[Crowd], load: Load) -> list[list[dict[str, Any]]]:
    """Let all crowds ask at the same time; return the tallies of each one's clients."""
    with ExitStack() as stack:
        running = [stack.enter_context(_started(uri, crowd, load)) for crowd in crowds]
        for process in running:
            assert process.stdout is not None
            process.stdout.readline()
        for process in running:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        return [json.loads(process.communicate()[0]) for process in running]


def _started(uri: str, crowd: Crowd, load: Load) -> subprocess.Popen[str]:
    words = [uri, str(crowd.clients), str(load.seconds), crowd.source, str(load.size)]
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.serving.client", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _figures(tallies: Sequence[dict[str, Any]], load: Load) -> Row:
    latency = np.concatenate([tally["latency_ms"] for tally in tallies])
    added = np.concatenate([tally["added_ms"] for tally in tallies])
    refused: Counter[str] = Counter()
    for tally in tallies:
        refused.update(tally["refused"])
    each = np.array([len(tally["latency_ms"]) for tally in tallies])
    return {
        "requests": len(latency),
        "per_second": len(latency) / load.seconds,
        "p50_ms": _quantile(latency, 0.5),
        "p99_ms": _quantile(latency, 0.99),
        "added_p50_ms": _quantile(added, 0.5),
        "added_p99_ms": _quantile(added, 0.99),
        "least_to_most_served": float(each.min() / max(1, each.max())),
        "refused": dict(refused),
    }


def _answered(tallies: Sequence[dict[str, Any]]) -> int:
    return sum(len(tally["latency_ms"]) for tally in tallies)


def _quantile(values: np.ndarray[Any, np.dtype[np.float64]], share: float) -> float:
    return float(np.quantile(values, share)) if len(values) else float("nan")
