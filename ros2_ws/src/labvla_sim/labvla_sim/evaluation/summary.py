"""Figures out of episodes: successes with their 95 % Wilson interval, failures by kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from labvla_sim.closed_loop.proportions import wilson
from labvla_sim.evaluation.job import Setting
from labvla_sim.evaluation.record import Record
from labvla_sim.evaluation.suite import Condition, Suite

Figures = dict[str, Any]

_OF_THE_STACK = {"crashed", "engine_failed", "refused", "stopped"}


def figures(records: Sequence[Record]) -> Figures:
    """Return what several episodes say; `success` is their number."""
    good = [record for record in records if record["success"]]
    bad = [record for record in records if not record["success"]]
    low, high = wilson(len(good), len(records))
    kept = [record["kept"] for record in good if record["kept"] is not None]
    return {
        "success": len(good),
        "n": len(records),
        "low": low,
        "high": high,
        "seconds": median(record["seconds"] for record in good) if good else None,
        "failures": dict(Counter(record["failure"] for record in bad).most_common()),
        # The policy stands as if it were done, and is not.
        "false_completion": sum(
            bool(record.get("stood")) and record["failure"] not in _OF_THE_STACK for record in bad
        ),
        "not_kept": kept.count(False),
    }


def by_task(suite: Suite, conditions: Sequence[Condition], records: Iterable[Record]) -> Figures:
    """Return figures per task: `id`, `ood` over its conditions and by each, checks, ablations."""
    found = list(records)
    tasks: Figures = {}
    for task in suite.tasks:
        mine = [record for record in found if record["task"] == task]
        tasks[task] = _of_task(conditions, mine)
    return tasks


def _of_task(conditions: Sequence[Condition], mine: Sequence[Record]) -> Figures:
    parts: Figures = {}
    for condition in conditions:
        own = [record for record in mine if record["condition"] == condition.name]
        if own:
            parts.setdefault(condition.kind, {})[condition.name] = figures(own)
    result: Figures = {}
    if "id" in parts:
        result["id"] = parts["id"]["id"]
    if "ood" in parts:
        names = set(parts["ood"])
        pooled = figures([record for record in mine if record["condition"] in names])
        result["ood"] = {**pooled, "conditions": parts["ood"]}
    result["checks"] = parts.get("check", {})
    result["ablations"] = parts.get("ablation", {})
    return result


def average(tasks: Mapping[str, Figures], kind: str) -> float | None:
    """Return the mean over tasks of the share of successes."""
    shares = [one[kind]["success"] / one[kind]["n"] for one in tasks.values() if kind in one]
    return sum(shares) / len(shares) if shares else None


def sweep_row(setting: Setting, tasks: Figures) -> Figures:
    """Return one point of a sweep."""
    return {"setting": setting.as_dict(), "name": setting.name, "tasks": tasks}


def rows_of(tasks: Mapping[str, Figures]) -> list[tuple[str, str, Figures]]:
    """Return (task, condition, figures) in the order of tables; `ood` is the sum of its parts."""
    rows: list[tuple[str, str, Figures]] = []
    for task, parts in tasks.items():
        if "id" in parts:
            rows.append((task, "id", parts["id"]))
        if "ood" in parts:
            rows += [(task, name, one) for name, one in parts["ood"]["conditions"].items()]
            rows.append((task, "ood", parts["ood"]))
        for kind in ("checks", "ablations"):
            rows += [(task, name, one) for name, one in parts[kind].items()]
    return rows
