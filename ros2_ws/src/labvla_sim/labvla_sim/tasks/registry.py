"""All tasks by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labvla_sim.tasks.absence import AbsenceJudge
from labvla_sim.tasks.pick import PickJudge
from labvla_sim.tasks.press import PressJudge
from labvla_sim.tasks.sampling import Target, holds

if TYPE_CHECKING:
    from labvla_sim.plant.truth import Truth
    from labvla_sim.scene.description import SceneDescription
    from labvla_sim.tasks.judging import Judge


@dataclass(frozen=True)
class Task:
    """What is asked and who judges it."""

    name: str
    instruction: str  # the wording shown to people
    wordings: tuple[str, ...]  # for training and `id`
    held_out: tuple[str, ...]  # only for `ood`
    target: Target  # whose pose decides what is in and out of distribution
    time_limit: float  # s
    done: str  # the judge's phase in which the task is done
    judge: Callable[[SceneDescription, Truth], Judge]


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task(
            name="press",
            instruction="Press the start button",
            wordings=(
                "Press the start button",
                "Press the button of the hot plate",
                "Press the start button on the hot plate",
                "Start the hot plate",
                "Turn on the hot plate",
            ),
            held_out=("Switch the heating plate on", "Push the button to start heating"),
            target="hot_plate",
            time_limit=20.0,
            done="started",
            judge=PressJudge,
        ),
        Task(
            name="pick",
            instruction="Pick up the beaker",
            wordings=(
                "Pick up the beaker",
                "Pick up the beaker from the table",
                "Lift the beaker",
                "Grasp the beaker and lift it up",
                "Take the beaker",
            ),
            held_out=("Raise the glass beaker off the bench", "Grab the beaker and hold it up"),
            target="beaker",
            time_limit=20.0,
            done="raised",
            judge=PickJudge,
        ),
    )
}


def next_task(name: str) -> Task:
    """Return the task after this one, in a circle."""
    names = list(TASKS)
    return TASKS[names[(names.index(name) + 1) % len(names)]]


def new_judge(name: str, scene: SceneDescription, start: Truth) -> Judge:
    """Return who judges a task in a scene; without the task's object nothing may be done."""
    task = TASKS[name]
    return task.judge(scene, start) if holds(scene, task.target) else AbsenceJudge()
