"""A campaign's outcome for people and for machines."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from labvla_bringup.campaign.campaign import Outcome
from labvla_bringup.campaign.catalogue import Fault
from labvla_bringup.campaign.run import STANDSTILL, Result, Violation
from labvla_bringup.campaign.stops import LIMIT, Measured

Table = tuple[str, list[str], list[list[str]]]


def line(result: Result) -> str:
    """Return one line for a run that has just ended."""
    named = ", ".join(result.named) or "nothing"
    verdict = "held" if result.good else f"BROKEN: {'; '.join(_complaints(result))}"
    return f"{result.fault} (seed {result.seed}, {result.seconds:.1f} s): {named}; {verdict}"


def _complaints(result: Result) -> list[str]:
    broken = [
        f"{v.name} {v.joint} {v.value:.4g} against {v.limit:.4g} at {v.time:.3f} s"
        for v in result.violations
    ]
    return [*broken, *result.failures]


def tables(outcome: Outcome) -> list[Table]:
    """Return what people want to see."""
    return [_faults(outcome), _invariants(outcome), _claims(outcome)]


def _faults(outcome: Outcome) -> Table:
    rows = []
    for name in dict.fromkeys(result.fault for result in outcome.results):
        runs = [result for result in outcome.results if result.fault == name]
        named = sorted({reason for result in runs for reason in result.named})
        good = sum(result.good for result in runs)
        standing = _largest(result.standing for result in runs)
        cell = "" if math.isnan(standing) else f"{standing:.3f} s"
        rows.append([name, f"{good}/{len(runs)}", cell, ", ".join(named)])
    return "faults", ["fault", "held", "stands after", "told"], rows


def _invariants(outcome: Outcome) -> Table:
    rows = []
    for name, worst in worst_of(outcome.results).items():
        broken = sum(v.count for r in outcome.results for v in r.violations if v.name == name)
        rows.append([name, f"{worst.value:.4g}", f"{worst.limit:.4g}", worst.joint, str(broken)])
    return "invariants at every tick", ["invariant", "worst", "limit", "of", "violations"], rows


def _claims(outcome: Outcome) -> Table:
    rows = [[claim, "yes" if held else "NO"] for claim, held in claims(outcome).items()]
    return "claims", ["claim", "held"], rows


def claims(outcome: Outcome) -> dict[str, bool]:
    """Return what a campaign claims, and whether it is so."""
    results = outcome.results
    return {
        "no invariant was violated": not any(result.violations for result in results),
        "every fault was named, and recovered as documented": not any(r.failures for r in results),
        "nothing was left running": not outcome.left,
        "the stack went down cleanly": outcome.exit_code == 0,
    }


def worst_of(results: Sequence[Result]) -> dict[str, Violation]:
    """Return for every invariant the number of all runs that came nearest to its bound."""
    worst: dict[str, Violation] = {}
    for result in results:
        for name, one in result.worst.items():
            if name not in worst or _share(one) > _share(worst[name]):
                worst[name] = one
    return worst


def _share(one: Violation) -> float:
    return abs(one.value) / abs(one.limit) if one.limit else math.inf


def _largest(values: Any) -> float:
    return max((value for value in values if not math.isnan(value)), default=math.nan)


def as_data(outcome: Outcome, cell: str, seed: int) -> dict[str, Any]:
    """Return everything, for a file."""
    return {
        "ok": outcome.good,
        "cell": cell,
        "seed": seed,
        "claims": claims(outcome),
        "rows": [{**asdict(result), "good": result.good} for result in outcome.results],
        "invariants": {name: asdict(one) for name, one in worst_of(outcome.results).items()},
        "left": outcome.left,
        "machine": machine(),
    }


def machine() -> dict[str, Any]:
    """Return where this was measured."""
    return {
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "system": platform.platform(),
    }


def stops_as_data(measured: Measured, cell: str, seed: int) -> dict[str, Any]:
    """Return measured stops, for a file."""
    return {"cell": cell, "seed": seed, "machine": machine(), **measured.as_data()}


def stops_table(measured: Measured) -> Table:
    """Return measured stops, for people."""
    standing = max(stop.standing for stop in measured.stops)
    rows = [
        ["call to first slower sample, p50", f"{measured.p50 * 1e3:.1f} ms", ""],
        ["the same, p99", f"{measured.p99 * 1e3:.1f} ms", f"{LIMIT * 1e3:.0f} ms"],
        ["the same, longest", f"{measured.longest * 1e3:.1f} ms", ""],
        ["call to standstill, longest", f"{standing:.3f} s", f"{STANDSTILL:g} s"],
        ["violations of invariants", str(len(measured.violations)), "0"],
    ]
    rows.append(["not counted: the arm slowed down by itself", str(measured.not_counted), ""])
    title = f"{len(measured.stops)} stops in motion, {measured.busy} processes keep the cores busy"
    return title, ["what", "measured", "limit"], rows


def fault_as_data(fault: Fault) -> dict[str, Any]:
    """Return what is known of a fault."""
    return {
        "name": fault.name,
        "named": list(fault.named),
        "symptom": fault.symptom,
        "meaning": fault.meaning,
        "action": fault.action,
        "recovery": fault.recovery.name.lower(),
        "accepted": fault.accepted,
    }


def write(found: dict[str, Any], path: Path) -> None:
    """Write the result."""
    path.write_text(json.dumps(found, indent=1, ensure_ascii=False), encoding="utf-8")
