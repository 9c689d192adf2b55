"""Somebody moves a thing that the arm is on its way to."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from labvla_sim.scene.description import HotPlate
from labvla_sim.tasks.registry import TASKS
from labvla_sim.tasks.sampling import NoRoom, target_has_room, top_in_reach

if TYPE_CHECKING:
    from labvla_policy.runtime.cell import Cell
    from labvla_sim.tasks.episode import Episode
    from labvla_sim.tasks.variation import Span

DISTANCE = 0.05  # m
WINDOW: Span = (0.5, 2.5)  # s: the experts are on their way, and have not closed or pressed yet
SECONDS = 0.4  # as a hand would push something aside
_DIRECTIONS = 36
_OF_THE_GOAL = 0.5  # share of the moves


@dataclass(frozen=True)
class TargetMove:
    """When a task's target moves, and by how much."""

    body: str
    start: float  # s since the reset
    seconds: float
    offset: tuple[float, float]  # m


def sample_target_move(
    cell: Cell, episode: Episode, distance: float = DISTANCE, window: Span = WINDOW
) -> TargetMove:
    """Draw a move that leaves the task possible; raise NoRoom where there is none.

    It follows from the episode alone: whoever plays the episode meets the same disturbance. Where
    something is brought to a goal, it is the goal that moves in half of the episodes.
    """
    task, scene = TASKS[episode.task], episode.scene
    label = zlib.crc32(f"{episode.task}/{episode.variation}/move".encode())
    random = np.random.default_rng([episode.seed, label])
    start = float(random.uniform(*window))
    moved = task.target
    if task.goal is not None and random.random() < _OF_THE_GOAL:
        moved = task.goal
    angles = 2 * np.pi * (random.random() + np.arange(_DIRECTIONS)) / _DIRECTIONS
    place = scene.hot_plate.place if moved == "hot_plate" else scene.beaker("beaker").place  # type: ignore[union-attr]
    for angle in random.permutation(angles):
        x, y = distance * float(np.cos(angle)), distance * float(np.sin(angle))
        there = replace(place, x=place.x + x, y=place.y + y)
        if moved == task.goal == "hot_plate" and not top_in_reach(cell, HotPlate(there)):
            continue
        if target_has_room(cell, scene, moved, there):
            return TargetMove(moved, start, SECONDS, (x, y))
    raise NoRoom(f"{episode.task}, seed {episode.seed}: the {moved} has no room to be moved")
