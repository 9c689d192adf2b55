"""Which engine to make: enough to make it in another process."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class EngineSpec:
    """A kind of engine and what it needs."""

    kind: str
    cell: str  # path of the cell file
    options: dict[str, str] = field(default_factory=dict)
