"""All tasks by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labvla_sim.tasks.absence import AbsenceJudge
from labvla_sim.tasks.pick import PickJudge
from labvla_sim.tasks.press import PressJudge
from labvla_sim.tasks.sampling import Target, holds
from labvla_sim.tasks.transport import TransportJudge

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
    swapped_with: str  # the task whose scene `swapped` puts up with these words
    goal: Target | None = None  # where the target is brought to
    stages: tuple[str, ...] = ()  # tasks that are done on the way

    @property
    def objects(self) -> tuple[Target, ...]:
        """What the task cannot do without."""
        return (self.target,) if self.goal is None else (self.target, self.goal)

    def possible_in(self, scene: SceneDescription) -> bool:
        """Whether everything that the task is about stands in a scene."""
        return all(holds(scene, name) for name in self.objects)


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
            swapped_with="pick",
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
            swapped_with="press",
        ),
        Task(
            name="transport",
            instruction="Put the beaker on the hot plate",
            wordings=(
                "Put the beaker on the hot plate",
                "Place the beaker on the hot plate",
                "Set the beaker down on the hot plate",
                "Move the beaker onto the hot plate",
                "Carry the beaker to the hot plate and put it down",
            ),
            held_out=(
                "Stand the glass beaker on the heating plate",
                "Bring the beaker over to the heater and set it down on top",
            ),
            target="beaker",
            time_limit=30.0,
            done="placed",
            judge=TransportJudge,
            # The same scene as for picking it up: only the words tell what to do with the beaker.
            swapped_with="pick",
            goal="hot_plate",
            stages=("pick",),
        ),
    )
}


def new_judge(name: str, scene: SceneDescription, start: Truth) -> Judge:
    """Return who judges a task in a scene; without the task's objects nothing may be done."""
    task = TASKS[name]
    return task.judge(scene, start) if task.possible_in(scene) else AbsenceJudge()
