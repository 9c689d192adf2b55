"""Memory, pace and pictures over the minutes."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from benchmarks.common.look import FAINT, STYLE
from benchmarks.soak.figures import CAMERA_RATE, PACE, STRETCH
from benchmarks.soak.session import Session
from benchmarks.soak.witness import CLOCK
from labvla_policy.runtime.cell import Cell

_COLOURS = ("#d7263d", "#1b998b", "#2e294e", "#f46036", "#7bb2d9")


def plot_soak(session: Session, cell: Cell, path: Path) -> None:
    """Draw memory by process, the pace and every camera's rate over time."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.0, 5.4), dpi=150, layout="constrained")
        memory, pace, rates = figure.subplots(3, 1, sharex=True, height_ratios=(2, 1, 1))
        for colour, (name, course) in zip(_COLOURS, session.courses.items(), strict=False):
            memory.plot(np.array(course.seconds) / 60, course.memory, color=colour, label=name)
        memory.set_ylabel("resident [MB]")
        memory.set_ylim(bottom=0)
        memory.legend(
            frameon=False, ncols=len(session.courses), loc="lower left", bbox_to_anchor=(0.0, 1.0)
        )
        begin, end = session.begin, session.end
        paces = session.streams[CLOCK].paces(begin, end, STRETCH)
        middle = (np.arange(len(paces)) + 0.5) * STRETCH / 60
        pace.plot(middle, paces, color=_COLOURS[0])
        pace.axhline(PACE, color=FAINT, linewidth=0.8, linestyle=":")
        pace.set_ylabel("real-time\nfactor")
        for colour, camera in zip(_COLOURS, cell.cameras, strict=False):
            found = session.streams[camera.topic].rates(begin, end, STRETCH)
            rates.plot(middle[: len(found)], found, color=colour, label=camera.name)
        rates.axhline(CAMERA_RATE, color=FAINT, linewidth=0.8, linestyle=":")
        rates.set_ylabel("pictures [Hz]\nat a client")
        rates.legend(frameon=False, ncols=len(cell.cameras), loc="lower left")
        rates.set_xlabel("minutes")
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)
