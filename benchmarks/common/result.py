"""A result as JSON, and what its figures depend on."""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

_DIGITS = 3


@dataclass(frozen=True)
class Table:
    """A title, column names and cells."""

    title: str
    columns: Sequence[str]
    cells: Sequence[Sequence[str]]


def machine() -> dict[str, Any]:
    """Return what figures of cost depend on."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "system": platform.platform(),
    }


def versions(*names: str) -> dict[str, str]:
    """Return the commit, and the versions of Python and of the packages that matter."""
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    described = subprocess.run(git, check=False, capture_output=True, text=True)
    return {
        "commit": described.stdout.strip() or "unknown",
        "python": platform.python_version(),
        **{name: version(name) for name in names},
    }


def now() -> str:
    """Return the date of a run."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def write_json(result: dict[str, Any], path: Path) -> None:
    """Write a result, one row per line, so that two results can be compared line by line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = rounded(result)
    head = {name: value for name, value in plain.items() if name != "rows"}
    rows = ",\n".join(f"  {json.dumps(row, separators=(',', ':'))}" for row in plain["rows"])
    text = json.dumps(head, indent=1, ensure_ascii=False)
    path.write_text(f'{text[:-2]},\n "rows": [\n{rows}\n ]\n}}\n')


def rounded(value: Any, digits: int = _DIGITS) -> Any:
    """Return plain data with as many digits as mean something; what never ends becomes null."""
    if isinstance(value, dict):
        return {name: rounded(item, digits) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(item, digits) for item in value]
    if isinstance(value, float):
        return float(f"{value:.{digits}g}") if math.isfinite(value) else None
    return value


def select(rows: Iterable[dict[str, Any]], **wanted: Any) -> list[dict[str, Any]]:
    """Return the rows with these values."""
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()
