"""Answers as an engine does: the expert's plan, except while somebody else moves the arm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labvla_sim.demonstrations.course import displaced
from labvla_sim.experts.base import Expert
from labvla_sim.experts.engine import prediction_of
from labvla_sim.experts.registry import make_expert

if TYPE_CHECKING:
    from labvla_policy.engines.base import Question
    from labvla_policy.runtime.cell import Cell
    from labvla_policy.runtime.types import Array, Observation, Prediction
    from labvla_sim.closed_loop.policy import Answers
    from labvla_sim.demonstrations.course import Course, Kick
    from labvla_sim.experts.base import Plan
    from labvla_sim.experts.motion import MotionBuilder
    from labvla_sim.plant.truth import Truth
    from labvla_sim.tasks.trial import Trial

_SLOWEST_KICK = 0.3  # s
_REST = 0.4  # s at the end of a kick: nothing of its motion is left when the expert goes on
_AFTER_MOVE = 0.1  # s


class Intruder(Expert):
    """Leads the arm elsewhere, and lets it come to rest there."""

    def __init__(self, cell: Cell, kick: Kick) -> None:
        super().__init__(cell)
        self._kick = kick
        self._goal: tuple[Array, float] | None = None

    def decide(self, truth: Truth, motion: MotionBuilder) -> None:
        """Append the way; its end stays the same if the arm has to be led there anew."""
        if self._goal is None:
            joints = displaced(self._cell, motion.joints, self._kick.offset)
            self._goal = joints, self._opening(float(truth.widths[0]))
        joints, opening = self._goal
        motion.grip(opening, 0.05, "displaced")
        motion.move(joints, "displaced", slowest=_SLOWEST_KICK)
        motion.wait(_REST, "displaced")

    def surprise(self, truth: Truth, phase: str, over: bool) -> str:
        """Never change its mind."""
        return ""

    def _opening(self, width: float) -> float:
        stroke = self.arm.gripper.stroke
        if not self._kick.toggles:
            return width
        return 0.0 if width > stroke / 2 else stroke


class Demonstrator:
    """The expert of one episode, and who disturbs it; a leader does the task until the kick."""

    def __init__(self, trial: Trial, course: Course, leader: Answers | None = None) -> None:
        self._trial, self._course, self._leader = trial, course, leader
        self._cell = trial.sim.cell
        self._intruder = None if course.kick is None else Intruder(self._cell, course.kick)
        self.undisturbed = False  # from here on all motion is the expert's own

    def begin(self, observation: Observation) -> None:
        """Call the expert for the episode's task."""
        episode = self._trial.episode
        self._expert = make_expert(self._cell, episode.task, episode.scene)
        self._expert.begin()
        if self._leader is not None:
            self._leader.begin(observation)

    @property
    def finished(self) -> bool:
        """Whether the expert has nothing more to do."""
        return self.undisturbed and self._expert.finished

    @property
    def phase(self) -> str:
        """What the expert is doing."""
        return self._expert.phase_at(self._trial.time)

    def infer(self, question: Question) -> Prediction:
        """Plan from the true state."""
        truth = self._trial.sim.truth()
        if self._leader is not None and self._course.kick and truth.time < self._course.kick.time:
            return self._leader.infer(question)
        plan = self._disturbing(truth)
        if plan is None:
            plan = self._expert.plan(truth)
            self.undisturbed = self.undisturbed or self._is_calm(truth.time)
        return prediction_of(self._cell, plan, self._trial.sim.stamp)

    def _disturbing(self, truth: Truth) -> Plan | None:
        """Return the intruder's plan, as long as there is one at work."""
        kick = self._course.kick
        if self._intruder is None or kick is None or truth.time < kick.time:
            return None
        if self._intruder.finished:
            self._intruder = None
            self._expert.begin()  # whatever it was about, it starts from here
            return None
        return self._intruder.plan(truth)

    def _is_calm(self, time: float) -> bool:
        """Whether nothing is under way, and nothing to come."""
        move = self._course.move
        still = move is None or time >= move.start + move.seconds + _AFTER_MOVE
        return self._intruder is None and still
