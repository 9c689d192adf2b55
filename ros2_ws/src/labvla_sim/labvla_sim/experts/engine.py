"""The scripted experts behind the interface of an engine: they read the true state.

No policy may do that. They stand in where no learned policy is wanted, and show what the rest of
the stack can do at best. They obey the instruction, whatever task the scene was put up for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from labvla_policy.engines.base import EngineError, Question
from labvla_policy.runtime.types import NANOSECONDS, Observation, Prediction
from labvla_sim.experts.registry import make_expert
from labvla_sim.tasks.episode import sample_episode
from labvla_sim.tasks.registry import TASKS

if TYPE_CHECKING:
    from collections.abc import Callable

    from labvla_policy.runtime.cell import Cell
    from labvla_sim.experts.base import Expert, Plan
    from labvla_sim.scene.description import SceneDescription
    from labvla_sim.tasks.variation import VariationName
    from labvla_sim.truth_text import SceneTruth

FRESH = NANOSECONDS // 2  # an older truth than this is no basis for a plan


def task_of(instruction: str) -> str:
    """Return the task that an instruction asks for."""
    asked = instruction.casefold().rstrip(".!")
    for name, task in TASKS.items():
        if asked in {wording.casefold() for wording in (*task.wordings, *task.held_out)}:
            return name
    known = "; ".join(task.instruction for task in TASKS.values())
    raise EngineError(f"the expert does not know {instruction!r}; it knows for example: {known}")


def prediction_of(cell: Cell, plan: Plan, stamp: int) -> Prediction:
    """Return a plan that was made at `stamp` (ns) as an engine's answer."""
    offset = round(cell.policy.row_offset * plan.dt * NANOSECONDS)
    return Prediction(
        plan_start=stamp + offset,
        dt=plan.dt,
        joint_names=cell.joints,
        joint_targets=plan.joints,
        gripper_names=tuple(arm.gripper_name for arm in cell.arms),
        gripper_targets=plan.widths,
    )


class TruthEngine:
    """Plans from the newest true state, wherever that comes from."""

    policy = "expert:true-state"

    def __init__(self, cell: Cell, newest: Callable[[], SceneTruth]) -> None:
        self._cell, self._newest = cell, newest
        self._expert: Expert | None = None
        self._scene: tuple[str, int, VariationName] | None = None

    def begin(self, observation: Observation) -> None:
        """Choose the expert for the instruction."""
        self._choose(task_of(observation.instruction), self._newest())

    def infer(self, question: Question) -> Prediction:
        """Plan from the newest true state."""
        observation, newest = question.observation, self._newest()
        if observation.stamp - newest.stamp > FRESH:
            raise EngineError("the newest true state is too old: has the simulation stopped?")
        if self._expert is None or self._scene != _scene(newest):
            self._choose(task_of(observation.instruction), newest)
        assert self._expert is not None
        return prediction_of(self._cell, self._expert.plan(newest.truth), newest.stamp)

    def close(self) -> None:
        """Give back nothing: whoever made the engine owns the truth."""

    def expert(self, task: str, scene: SceneDescription, seed: int) -> Expert:
        """Return who does a task in a scene."""
        return make_expert(self._cell, task, scene)

    def _choose(self, task: str, newest: SceneTruth) -> None:
        self._scene = _scene(newest)
        episode = sample_episode(self._cell, *self._scene)
        if not TASKS[task].possible_in(episode.scene):
            needed = " and ".join(TASKS[task].objects)
            raise EngineError(f"expert: {task} needs {needed}, and not all of it is in this scene")
        self._expert = self.expert(task, episode.scene, episode.seed)
        self._expert.begin()


def _scene(truth: SceneTruth) -> tuple[str, int, VariationName]:
    return truth.task, truth.seed, truth.variation
