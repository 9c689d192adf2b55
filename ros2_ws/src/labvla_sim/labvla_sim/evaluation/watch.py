"""What the true state shows beside the judge's verdict: how near, how, and what else was done."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from labvla_sim.scene.hot_plate import BUTTON
from labvla_sim.tasks.absence import ALONE
from labvla_sim.tasks.registry import TASKS, new_judge

if TYPE_CHECKING:
    from labvla_policy.runtime.types import Array
    from labvla_sim.plant.truth import Truth
    from labvla_sim.tasks.episode import Episode

RATE = 30.0  # Hz of looks: as often as the running stack tells the truth
KEPT = 1.0  # s that a success has to last
STANDING = 3.0  # s at the end without motion: the policy takes itself to be done
_STILL_TOOL = 0.005  # m
_STILL_FINGERS = 0.003  # m
_RIM = 0.010  # m between fingers that hold no more than a wall
_LIFTED = 0.01  # m
_GOALS = {"beaker": "beaker", "hot_plate": BUTTON}  # the body that a tool has to come to


@dataclass(frozen=True)
class Seen:
    """What was seen of an episode."""

    nearest: float | None  # m from a tool to the goal; None: there is no goal
    pinched: bool  # lifted by its rim
    done_instead: str  # another task that was done; empty: none
    stood: bool  # the arm did not move at the end
    kept: bool | None  # whether the success lasted; None: there was none to keep


class Watch:
    """Looks at the truth of one episode; the first look has to be before anything moves."""

    def __init__(self, episode: Episode) -> None:
        self._episode = episode
        task, scene = TASKS[episode.task], episode.scene
        present = task.possible_in(scene)
        self._goal = _GOALS[task.target] if present else None
        self._done = task.done if present else ALONE
        self._start: Truth | None = None
        self._others = [
            name
            for name, other in TASKS.items()
            if name != episode.task and name not in task.stages and other.possible_in(scene)
        ]
        self._nearest = np.inf
        self._pinched = False
        self._instead = ""
        self._phases: list[tuple[float, str]] = []
        self._last: deque[tuple[float, Array, Array]] = deque()

    def look(self, truth: Truth) -> None:
        """Take one look."""
        if self._start is None:
            self._start = truth
            names, scene = (self._episode.task, *self._others), self._episode.scene
            self._judges = {name: new_judge(name, scene, truth) for name in names}
        for judge in self._judges.values():
            judge.look(truth)
        self._phases.append((truth.time, self._judges[self._episode.task].verdict.phase))
        for name in self._others:
            if self._judges[name].verdict.phase == TASKS[name].done:
                self._instead = self._instead or name
        tools = truth.tools[:, :3, 3]
        if self._goal is not None:
            goal = truth.bodies[self._goal].position
            self._nearest = min(self._nearest, float(np.linalg.norm(tools - goal, axis=1).min()))
            self._pinched = self._pinched or self._pinches(truth, self._start)
        self._last.append((truth.time, tools, truth.widths))
        while self._last[0][0] < truth.time - STANDING:
            self._last.popleft()

    def _pinches(self, truth: Truth, start: Truth) -> bool:
        if self._goal == BUTTON or self._goal is None:
            return False
        raised = truth.bodies[self._goal].position[2] - start.bodies[self._goal].position[2]
        between = {"left_pad", "right_pad"} <= truth.holders(self._goal)
        return bool(between and truth.widths.min() < _RIM and raised > _LIFTED)

    def seen(self, success: float | None) -> Seen:
        """Return what was seen; `success` is when the judge was content."""
        end = -np.inf if success is None else success + KEPT
        after = [phase for t, phase in self._phases if success is not None and success < t <= end]
        return Seen(
            nearest=None if self._goal is None else self._nearest,
            pinched=self._pinched,
            done_instead=self._instead,
            stood=self._stands(),
            kept=all(phase == self._done for phase in after) if after else None,
        )

    def _stands(self) -> bool:
        times, tools, widths = zip(*self._last, strict=True) if self._last else ((), (), ())
        if not times or times[-1] - times[0] < STANDING - 2.0 / RATE:
            return False
        travel, closing = (np.ptp(np.array(values), axis=0).max() for values in (tools, widths))
        return bool(travel < _STILL_TOOL and closing < _STILL_FINGERS)
