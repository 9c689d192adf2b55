"""A policy that begins an episode and hands it over: how its own mistakes are mended is shown."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from labvla_policy.engines.registry import make_engine
from labvla_policy.engines.spec import EngineSpec
from labvla_policy.runtime.cell import Cell, write_cell
from labvla_sim.closed_loop.policy import Answers


@dataclass(frozen=True)
class Leader:
    """A checkpoint, and the file of the cell in which it leads."""

    checkpoint: str
    cell_file: str

    @property
    def engine(self) -> Answers:
        """The policy, loaded once in each process. Raises EngineError."""
        return _engine(self)


def make_leader(checkpoint: str, cell: Cell, folder: Path) -> Leader:
    """Describe the cell in a folder, with the cameras that it has there and no gap between them."""
    cameras = tuple(replace(one, slot=slot) for slot, one in enumerate(cell.policy_cameras))
    led = write_cell(replace(cell, cameras=cameras), folder / f"{cell.name}.yaml")
    return Leader(checkpoint, led.origin.file)


@lru_cache(maxsize=1)
def _engine(leader: Leader) -> Answers:
    # Processes share the cores already: one thread each.
    options = {"checkpoint": leader.checkpoint, "seed": "0", "threads": "1"}
    return make_engine(EngineSpec("labvla", leader.cell_file, options))
