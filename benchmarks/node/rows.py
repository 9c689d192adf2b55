"""From records to one row of figures per case and node, and from rows to verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.common.result import select
from benchmarks.node.bench import NodeKind, Records, Segment
from benchmarks.node.grid import Case
from benchmarks.node.segment import Account, Latencies, account, latencies
from labvla_policy.runtime.cell import Cell

Row = dict[str, Any]

AIM_P50 = 0.005  # s
AIM_P99 = 0.015
AIM_CPU = 0.5  # of the naive node


def rows_of(case: Case, records: Records, cell: Cell) -> list[Row]:
    """Return a row per node."""
    kinds: tuple[NodeKind, ...] = ("labvla", "naive")
    return [_row(case, kind, records, cell) for kind in kinds]


def _row(case: Case, kind: NodeKind, records: Records, cell: Cell) -> Row:
    own = [segment for segment in records.segments if segment.kind == kind]
    cameras = [camera.topic for camera in cell.policy_cameras]
    joints = cell.joint_states.topic
    found = [
        latencies(s.asked, records.arrivals, records.sent, joints, cameras, s.window) for s in own
    ]
    cpu = [segment.window.cpu for segment in own]
    return {
        "case": case.name,
        "width": case.load.width,
        "height": case.load.height,
        "joint_rate": case.load.joint_rate,
        "free_running": any(case.load.phases),
        "rate": case.rate,
        "node": kind,
        **_quantiles("before", found),
        **_quantiles("after", found),
        "plans_per_second": sum(f.questions for f in found) / sum(s.window.seconds for s in own),
        "plans_lost": sum(f.questions - f.arrived for f in found),
        "cpu": float(np.median(cpu)),
        "cpu_each": cpu,
        "cpu_engine": float(
            np.median([s.window.cpu_of(s.window.engine) if s.window.engine else 0.0 for s in own])
        ),
        "memory_mb": max(_memory(segment) for segment in own) / 1e6,
        **_accounts(own, records),
    }


def _quantiles(name: str, found: Sequence[Latencies]) -> Row:
    values = np.concatenate([getattr(each, name) for each in found])
    medians = [float(np.median(v)) for each in found if len(v := getattr(each, name))]
    if len(values) == 0:
        return {f"{name}_p50": np.nan, f"{name}_p99": np.nan, f"{name}_p50_each": []}
    p50, p99 = np.quantile(values, [0.5, 0.99])
    return {f"{name}_p50": float(p50), f"{name}_p99": float(p99), f"{name}_p50_each": medians}


def _memory(segment: Segment) -> int:
    window = segment.window
    return window.node[1].memory + (window.engine[1].memory if window.engine else 0)


def _accounts(own: Sequence[Segment], records: Records) -> Row:
    """Return what became of all messages; a node that counts nothing has nothing to say."""
    accounts: list[Account] = []
    for segment in own:
        if segment.received is not None:
            before, after = segment.received
            accounts += [account(records.sent[t], before[t], after[t]) for t in before]
    if not accounts:
        return {"sent": None, "received": None, "counted_lost": None, "unexplained": None}
    return {
        "sent": sum(a.sent for a in accounts),
        "received": sum(a.received for a in accounts),
        "counted_lost": sum(a.counted_lost for a in accounts),
        "unexplained": sum(abs(a.unexplained) for a in accounts),
    }


def verdicts(rows: list[Row]) -> list[Row]:
    """Return every aim with what was found, case by case and in all."""
    found = []
    for case in dict.fromkeys(row["case"] for row in rows):
        ours, naive = (select(rows, case=case, node=kind)[0] for kind in ("labvla", "naive"))
        for figure, text in (
            ("before", "message in to engine in"),
            ("after", "engine out to controller"),
        ):
            for quantile, aim in (("p50", AIM_P50), ("p99", AIM_P99)):
                value = ours[f"{figure}_{quantile}"]
                found.append(_aim(f"{text}, {quantile} [s]", case, aim, value, value <= aim))
        ratios = [o / n for o, n in zip(ours["cpu_each"], naive["cpu_each"], strict=False)]
        ratio = float(np.median(ratios))
        found.append(
            _aim("processor time, of the naive node's", case, AIM_CPU, ratio, ratio <= AIM_CPU)
        )
        lost = ours["unexplained"] + ours["plans_lost"]
        found.append(_aim("messages that nobody accounts for", case, 0, lost, lost == 0))
    return found


def _aim(text: str, case: str, wanted: float, found: float, reached: bool) -> Row:
    return {"aim": text, "case": case, "wanted": wanted, "found": found, "reached": bool(reached)}
