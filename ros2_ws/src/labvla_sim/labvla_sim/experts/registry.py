"""Which expert does which task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labvla_sim.experts.base import Expert
from labvla_sim.experts.pick import PickExpert
from labvla_sim.experts.press import PressExpert
from labvla_sim.experts.transport import TransportExpert

if TYPE_CHECKING:
    from labvla_policy.runtime.cell import Cell
    from labvla_sim.scene.description import SceneDescription


def make_expert(cell: Cell, task: str, description: SceneDescription) -> Expert:
    """Return the expert of a task for a scene."""
    if task == "press":
        return PressExpert(cell)
    if task == "pick":
        return PickExpert(cell, description)
    if task == "transport":
        return TransportExpert(cell, description)
    raise ValueError(f"expected a task with an expert (press, pick, transport), got {task!r}")
