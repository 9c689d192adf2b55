"""Which engines there are. Other packages add theirs through the entry points `labvla.engines`."""

from __future__ import annotations

from importlib.metadata import entry_points

from labvla_policy.engines.base import Engine, EngineError
from labvla_policy.engines.spec import EngineSpec

GROUP = "labvla.engines"


def make_engine(spec: EngineSpec) -> Engine:
    """Make an engine from its description."""
    known = {entry.name: entry for entry in entry_points(group=GROUP)}
    if spec.kind not in known:
        raise EngineError(f"engine: expected one of {', '.join(sorted(known))}, got {spec.kind!r}")
    engine: Engine = known[spec.kind].load()(spec)
    return engine
