"""One line of the result."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.model.peaks import Peaks
from benchmarks.model.timing import Latency
from benchmarks.model.work import Work

_MS = 1e3


@dataclass(frozen=True)
class Case:
    """What was measured."""

    size: str
    device: str
    dtype: str
    method: str  # ours; plain: the same network without caches and graphs; stock: see stock.py
    part: str  # a stage, `loop` for the Euler loop alone, `chunk` for everything
    rtc: str = "off"  # or `guided N`, with N vector-Jacobian products in a step
    samples: int = 1
    clients: int = 1


def row(
    case: Case, latency: Latency, work: Work | None = None, peaks: Peaks | None = None
) -> dict[str, Any]:
    """Return a measured line; the roofline where the work was counted."""
    least = None if work is None or peaks is None else work.least_seconds(peaks.flops, peaks.bytes)
    return {
        **asdict(case),
        "run": True,
        "why_not": "",
        "p50_ms": latency.p50 * _MS,
        "p99_ms": latency.p99 * _MS,
        "first_ms": latency.first * _MS,
        "calls": latency.calls,
        "gflop": None if work is None else work.flops / 1e9,
        "megabytes": None if work is None else work.bytes / 1e6,
        "roofline_ms": None if least is None else least * _MS,
        "roofline_fraction": None if least is None else least / latency.p50,
        "chunks_per_second": None,
        "prepare_s": None,
    }


def not_run(case: Case, why: str) -> dict[str, Any]:
    """Return a line that says what was not measured."""
    empty = Latency(float("nan"), float("nan"), float("nan"), 0)
    return row(case, empty) | {"run": False, "why_not": why}
