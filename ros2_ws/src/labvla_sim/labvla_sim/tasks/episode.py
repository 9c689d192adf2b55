"""One episode as data: scene, starting posture, wording."""

from __future__ import annotations

import zlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from labvla_sim.scene.description import SceneDescription
from labvla_sim.tasks.registry import TASKS
from labvla_sim.tasks.sampling import sample_scene, without
from labvla_sim.tasks.variation import VARIATIONS, VariationName

if TYPE_CHECKING:
    from labvla_policy.runtime.cell import Cell


@dataclass(frozen=True)
class Episode:
    """Everything that a reset needs; equal episodes run equally, bit for bit."""

    task: str
    variation: VariationName
    seed: int
    instruction: str
    scene: SceneDescription
    joints: tuple[float, ...]  # rad, where all arms start
    widths: tuple[float, ...]  # m between the fingers at the start

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for recording."""
        return asdict(self)


def sample_episode(cell: Cell, task: str, seed: int, variation: VariationName = "id") -> Episode:
    """Draw an episode. Seeds of different tasks and variations are independent."""
    if task not in TASKS:
        raise ValueError(f"expected a task of {sorted(TASKS)}, got {task!r}")
    if variation not in VARIATIONS:
        raise ValueError(f"expected a variation of {sorted(VARIATIONS)}, got {variation!r}")
    asked, ranges = TASKS[task], VARIATIONS[variation]
    posed, label = asked, f"{task}/{variation}"
    if ranges.others_scene is not None:
        # Drawn as the other task's episode is: scene, posture and noise are the same.
        posed, ranges = TASKS[asked.swapped_with], VARIATIONS[ranges.others_scene]
        label = f"{posed.name}/{ranges.name}"
    random = np.random.default_rng([seed, zlib.crc32(label.encode())])
    scene = sample_scene(cell, ranges, VARIATIONS["id"], posed.target, random, goal=posed.goal)
    if ranges.absent:
        scene = without(scene, asked.target)
    wordings = asked.held_out if ranges.held_out_wordings else asked.wordings
    instruction = wordings[int(random.integers(len(wordings)))]
    joints: list[float] = []
    widths: list[float] = []
    for arm in cell.arms:
        names = {posture.name for posture in arm.postures}
        middle = np.asarray(arm.posture("ready" if "ready" in names else "home").joints)
        limits = arm.operating_limits
        noise = random.normal(0.0, ranges.start_noise, len(middle))
        start = np.clip(middle + noise, limits.position_lower, limits.position_upper)
        joints.extend(float(value) for value in start)
        widths.append(float(random.choice([0.0, arm.gripper.stroke], p=[0.3, 0.7])))
    return Episode(task, variation, seed, instruction, scene, tuple(joints), tuple(widths))
