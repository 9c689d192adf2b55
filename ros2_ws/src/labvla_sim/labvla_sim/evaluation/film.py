"""A small film of an episode: what happened, from outside and from the hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from labvla_data.dataset.video import VideoSettings, VideoWriter
from labvla_policy.runtime.cell import Cell
from labvla_sim.plant import CellRenderer
from labvla_sim.plant.controlled import PERIOD
from labvla_sim.tasks import Trial

SIDE = 200  # pixels of each picture
RATE = 12  # frames a second
_EVERY = round(1.0 / (RATE * PERIOD))  # ticks
_SMALL = VideoSettings(crf=31, preset="medium", keyframe_interval=10 * RATE)
_SHOWN = 2  # cameras: the first and the last of the cell, which are the front's and the hand's


class Film:
    """A film in the making; two cameras side by side."""

    def __init__(self, cell: Cell, path: Path) -> None:
        names = [camera.name for camera in cell.cameras]
        names = list(dict.fromkeys((names[0], names[-1])))[:_SHOWN]
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._draft = path, path.with_name(f".{path.name}")
        self._renderer = CellRenderer(cell, cameras=names, sizes=(SIDE, SIDE))
        self._writer = VideoWriter(self._draft, SIDE, SIDE * len(names), RATE, _SMALL)

    def look(self, trial: Trial) -> None:
        """Take a picture when it is time for one."""
        if trial.sim.ticks % _EVERY == 0:
            pictures = self._renderer.render(trial.sim.snapshot())
            self._writer.add(np.concatenate(list(pictures.values()), axis=1))

    def finish(self) -> None:
        """Put the film where it belongs."""
        self._writer.finish()
        self._draft.replace(self._path)

    def close(self) -> None:
        """Let go of everything; a film that is not finished is none."""
        if self._draft.exists():
            self._writer.abandon()
            self._draft.unlink()
        self._renderer.close()
