"""Who takes part, with which settings."""

from __future__ import annotations

from benchmarks.control.methods.base import Method
from benchmarks.control.methods.jtc import Jtc
from benchmarks.control.methods.labvla import Labvla
from benchmarks.control.methods.setpoints import Ema, LinearReplace, Ruckig


def contestants() -> tuple[Method, ...]:
    """Return this controller as shipped and its rivals, these with their knobs turned too."""
    return (
        Labvla(),
        Jtc("jtc_replace", None),
        Jtc("jtc_continuity", None),
        *(Jtc("jtc_replace", lead) for lead in (1, 2, 4)),
        *(Jtc("jtc_continuity", lead) for lead in (1, 2, 4, 8)),
        LinearReplace(),
        *(Ema(share) for share in (0.1, 0.03, 0.01, 0.003)),
        *(Ruckig("rest", ahead) for ahead in (0, 3)),
        *(Ruckig("rows", ahead) for ahead in (1, 3, 6)),
    )
