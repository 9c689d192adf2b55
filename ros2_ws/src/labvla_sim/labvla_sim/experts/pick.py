"""The expert that picks up the beaker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labvla_sim.experts.grasp import BeakerExpert
from labvla_sim.tasks.pick import TARGET

if TYPE_CHECKING:
    from labvla_sim.experts.motion import MotionBuilder
    from labvla_sim.plant.truth import Truth

_LIFT = 0.16  # m
_HELD_HEIGHT = 0.13  # m above the bench: high enough to stay there


class PickExpert(BeakerExpert):
    """Grasps the beaker and lifts it."""

    def decide(self, truth: Truth, motion: MotionBuilder) -> None:
        """Append the whole task from here, or only the lift when the beaker is held."""
        self._expected = truth.bodies[TARGET].position
        if self.holds(truth):
            self._lift(truth, motion)
            return
        approach = self.grasp(truth, motion)
        if approach is None:
            return
        raised = approach.pose.copy()
        raised[2, 3] += _LIFT
        up = self.straight(motion.joints, raised)
        if up is not None:
            motion.move(up, "lift")
        motion.wait(1.0, "hold")

    def surprise(self, truth: Truth, phase: str, over: bool) -> str:
        """Notice a beaker that moved away, was not grasped, or slipped."""
        if phase in ("lift", "hold") and not self.holds(truth):
            return "missed or lost"
        if over and phase == "hold" and truth.bodies[TARGET].position[2] < _HELD_HEIGHT:
            return "not high enough"
        return self.misses(truth, phase, over)

    def _lift(self, truth: Truth, motion: MotionBuilder) -> None:
        self.squeeze(motion, 0.05, "lift")
        rise = max(_LIFT - float(truth.bodies[TARGET].position[2]), 0.0)
        pose = truth.tools[0].copy()
        pose[2, 3] += rise
        up = self.straight(motion.joints, pose) if rise > 0.005 else None
        if up is not None:
            motion.move(up, "lift")
        motion.wait(1.0, "hold")
