"""What became of a request to somebody else's driver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Report:
    """What became of what was sent under a ticket."""

    ticket: int
    what: Literal["accepted", "rejected", "succeeded", "failed", "canceled"]
    detail: str = ""
