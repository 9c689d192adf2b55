"""How grave a finding is, and what a command makes of all of them."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


class Severity(enum.IntEnum):
    """From a remark to a reason to stop."""

    LOW = 1
    MED = 2
    HIGH = 3
    CRIT = 4


@dataclass(frozen=True)
class Issue:
    """One thing that a validator or the preflight found."""

    check: str
    severity: Severity
    detail: str
    episode: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it as it stands in a report."""
        return {
            "check": self.check,
            "severity": self.severity.name,
            "detail": self.detail,
            "episode": self.episode,
        }


def report(root: str, issues: Sequence[Issue]) -> dict[str, Any]:
    """Return the report of a command: it is well unless something is grave."""
    ordered = sorted(issues, key=lambda issue: -issue.severity)
    return {
        "root": root,
        "ok": all(issue.severity < Severity.HIGH for issue in issues),
        "issues": [issue.as_json() for issue in ordered],
    }
