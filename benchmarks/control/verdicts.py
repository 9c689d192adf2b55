"""What was aimed at, and whether it was reached: computed from the rows, whatever they say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from benchmarks.common.result import select
from benchmarks.control.rows import Row

OURS = "labvla"
CONTINUITY = ("jtc_continuity", "jtc_continuity_trimmed")

# Differences below these decide nothing: jerk as a share, lag in seconds.
JERK_MARGIN = 0.05
LAG_MARGIN = 0.005

# Two lags count as equal within this.
EQUAL_LAG = 0.010

AIM_JERK_RATIO = 0.2
AIM_ACCEPTED = 0.99
AIM_STANDSTILL = 0.8
AIM_COST_US = {7: 10.0, 14: 20.0}

_CASE = ("disagreement", "row_noise", "horizon", "delay", "network")


def cases(rows: Iterable[Row]) -> list[list[Row]]:
    """Return the rows case by case."""
    grouped: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        grouped.setdefault(tuple(row[name] for name in _CASE), []).append(row)
    return list(grouped.values())


def dominates(rival: Row, row: Row) -> bool:
    """Whether a rival is better on the jerk-lag plane: in one by more than a margin, worse in none.

    A lead is as far from the plan as a lag.
    """
    jerk, rival_jerk = row["boundary_jerk_max"], rival["boundary_jerk_max"]
    lag, rival_lag = abs(row["lag"]), abs(rival["lag"])
    jerk_better = rival_jerk < (1 - JERK_MARGIN) * jerk
    lag_better = rival_lag < lag - LAG_MARGIN
    jerk_worse = rival_jerk > (1 + JERK_MARGIN) * jerk
    lag_worse = rival_lag > lag + LAG_MARGIN
    return (jerk_better or lag_better) and not (jerk_worse or lag_worse)


def verdicts(rows: list[Row], cost: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return every aim with what was found."""
    grouped = cases(rows)
    ours = select(rows, method=OURS)
    fed = [row for row in ours if not row["starved"]]
    return [
        _dominance(grouped),
        _ratio(grouped, "boundary_jerk_max", "boundary jerk"),
        _ratio(grouped, "boundary_jerk_10ms", "boundary jerk over 10 ms"),
        _worst("samples outside the operating limits", ours, "violations", 0.0, max),
        _worst("usable chunks accepted, chunks that overlap", fed, "accepted", AIM_ACCEPTED, min),
        _worst("standstill after the last chunk [s]", ours, "stop_time", AIM_STANDSTILL, max),
        *(
            _aim(
                f"update p99.9 for {entry['joints']} joints [µs]",
                entry["update_p999_us"],
                AIM_COST_US[entry["joints"]],
                entry["update_p999_us"] <= AIM_COST_US[entry["joints"]],
                f"least disturbed of {entry['repeats']}; most: {entry['disturbed_p999_us']:.1f}",
            )
            for entry in cost
        ),
    ]


def _dominance(grouped: list[list[Row]]) -> dict[str, Any]:
    beaten: list[tuple[Row, Row]] = []
    for case in grouped:
        ours = select(case, method=OURS)[0]
        rivals = [row for row in case if row["method"] != OURS and dominates(row, ours)]
        if rivals:
            beaten.append((ours, min(rivals, key=lambda row: abs(row["lag"]))))
    horizons = Counter(ours["horizon"] for ours, _ in beaten)
    verdict = _aim(
        "cases in which a rival dominates",
        f"{len(beaten)} of {len(grouped)}",
        "none",
        not beaten,
        ", ".join(f"{count} with {rows} rows" for rows, count in sorted(horizons.items())),
    )
    verdict["cases"] = [
        f"{describe(ours)}: {rival['method']} {rival['setting']}".rstrip() for ours, rival in beaten
    ]
    return verdict


def _ratio(grouped: list[list[Row]], figure: str, text: str) -> dict[str, Any]:
    """Compare with the smoothest JTC with velocity continuity that lags equally."""
    ratios = []
    for case in grouped:
        ours = select(case, method=OURS)[0]
        if ours["disagreement"] == 0.0 and ours["row_noise"] == 0.0:
            continue  # chunks that agree have no boundary
        rivals = [
            row[figure]
            for row in case
            if row["method"] in CONTINUITY and abs(row["lag"] - ours["lag"]) <= EQUAL_LAG
        ]
        if rivals:
            ratios.append(ours[figure] / min(rivals))
    if not ratios:
        return _aim(f"{text}, of JTC's with equal lag", "no pair", AIM_JERK_RATIO, False, "")
    worst, middle = max(ratios), float(np.median(ratios))
    detail = f"median {middle:.3f} of {len(ratios)} cases that have a pair"
    return _aim(
        f"{text}, of JTC's with equal lag", worst, AIM_JERK_RATIO, worst <= AIM_JERK_RATIO, detail
    )


def _worst(text: str, ours: list[Row], figure: str, aim: float, worst: Any) -> dict[str, Any]:
    row = worst(ours, key=lambda row: row[figure])
    reached = row[figure] >= aim if worst is min else row[figure] <= aim
    return _aim(text, row[figure], aim, reached, f"worst: {describe(row)}")


def _aim(text: str, found: Any, aim: Any, reached: bool, detail: str) -> dict[str, Any]:
    return {"aim": text, "found": found, "wanted": aim, "reached": bool(reached), "detail": detail}


def describe(row: Row) -> str:
    """Return a case in a few words."""
    noise = f", row noise {row['row_noise'] * 1e3:.0f} mrad" if row["row_noise"] else ""
    return (
        f"{row['disagreement'] * 1e3:.0f} mrad{noise}, {row['horizon']} rows, "
        f"{row['delay'] * 1e3:.0f} ms, {row['network']}"
    )
