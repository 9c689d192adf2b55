"""Play the grid and condense it: one row per case, method and setting."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from benchmarks.control.arm import Arm
from benchmarks.control.grid import Case, Grid
from benchmarks.control.methods import Method, contestants
from benchmarks.control.metrics import NewestPlan, measure
from benchmarks.control.streams import make_stream

Row = dict[str, Any]

# Over the repetitions of a case the worst counts for these, the median for all others.
_WORST_IS_LARGEST = (
    "violations",
    "position_violations",
    "velocity_violations",
    "acceleration_violations",
    "jerk_violations",
    "stop_time",
    "stop_distance",
    "stop_acceleration",
    "stop_jerk",
)
_WORST_IS_SMALLEST = ("accepted",)


def play_grid(grid: Grid, arm: Arm, tell: Callable[[str], None]) -> list[Row]:
    """Return the rows of all cases; `tell` hears of the progress."""
    rows: list[Row] = []
    for number, case in enumerate(grid.cases, start=1):
        rows.extend(_play_case(case, grid, arm))
        tell(f"case {number} of {len(grid.cases)}")
    return rows


def _play_case(case: Case, grid: Grid, arm: Arm) -> list[Row]:
    methods = contestants()
    figures: list[list[dict[str, float]]] = [[] for _ in methods]
    for scenario in case.scenarios(grid.seeds, grid.duration):
        stream = make_stream(scenario, arm)
        plan = NewestPlan.of(stream)
        for method, collected in zip(methods, figures, strict=True):
            collected.append(measure(stream, method.run(stream), plan))
    return [
        {**_describe(case, arm, method), **condense(collected)}
        for method, collected in zip(methods, figures, strict=True)
    ]


def _describe(case: Case, arm: Arm, method: Method) -> Row:
    return {
        "method": method.name,
        "setting": method.setting,
        "disagreement": case.disagreement,
        "row_noise": case.row_noise,
        "horizon": case.horizon,
        "delay": case.delay,
        "network": case.network,
        "starved": case.starved(arm),
    }


def condense(figures: Iterable[dict[str, float]]) -> dict[str, float]:
    """Return one figure for each name."""
    collected = list(figures)

    def one(name: str) -> float:
        values = np.array([figure[name] for figure in collected])
        if name in _WORST_IS_LARGEST:
            return float(values.max())
        return float(values.min() if name in _WORST_IS_SMALLEST else np.median(values))

    return {name: one(name) for name in collected[0]}
