"""The expert that picks up the beaker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from labvla_sim.experts.approach import choose
from labvla_sim.experts.base import Expert
from labvla_sim.scene.glass import size_of
from labvla_sim.tasks.pick import TARGET, is_held

if TYPE_CHECKING:
    from labvla_policy.runtime.cell import Cell
    from labvla_policy.runtime.types import Array
    from labvla_sim.experts.motion import MotionBuilder
    from labvla_sim.plant.truth import Truth
    from labvla_sim.scene.description import SceneDescription

_BELOW_RIM = 0.028  # m from the rim to the pads: the palm stays 17 mm above the rim
_ABOVE = 0.100  # m, of the stop above the grasp: the tips are clear of the rim
_LIFT = 0.16  # m
_HELD_HEIGHT = 0.13  # m above the bench: high enough to stay there
_SAFE_HEIGHT = 0.22  # m of the tool, to travel over everything on the bench
_SQUEEZE = 0.012  # m less than the diameter: with the gripper's stiffness more than enough force
_TOPPLED = float(np.deg2rad(30.0))
_MOVED = 0.012  # m
_DOWN = np.array([0.0, 0.0, -1.0])


class PickExpert(Expert):
    """Opens, stops above the beaker, goes straight down around it, closes and lifts."""

    def __init__(self, cell: Cell, description: SceneDescription) -> None:
        super().__init__(cell)
        self._size = size_of(description.beaker(TARGET))
        self._expected = np.zeros(3)

    def decide(self, truth: Truth, motion: MotionBuilder) -> None:
        """Append the whole task from here, or only the lift when the beaker is held."""
        beaker = truth.bodies[TARGET]
        self._expected = beaker.position
        if is_held(truth, self._size.diameter):
            self._lift(truth, motion)
            return
        if beaker.tilt > _TOPPLED:
            # Standing a fallen beaker up again is another skill.
            motion.wait(1.0, "toppled")
            return
        self._clear(truth, motion)
        goal = beaker.position + np.array([0.0, 0.0, self._size.height - _BELOW_RIM])
        approach = choose(self, motion.joints, goal, _DOWN, _ABOVE, self._obstacles(truth))
        if approach is None:
            motion.wait(1.0, "out of reach")
            return
        motion.grip(self.arm.gripper.stroke, 0.05, "travel")
        motion.move(approach.above, "travel")
        motion.grip(self.arm.gripper.stroke, self._opening_time(truth), "stop above")
        motion.move(approach.down, "descend")
        motion.wait(0.1, "descend")
        motion.grip(self._size.diameter - _SQUEEZE, 0.9, "close")
        raised = approach.pose.copy()
        raised[2, 3] += _LIFT
        up = self.straight(motion.joints, raised)
        if up is not None:
            motion.move(up, "lift")
        motion.wait(1.0, "hold")

    def surprise(self, truth: Truth, phase: str, over: bool) -> str:
        """Notice a beaker that moved away, was not grasped, or slipped."""
        beaker = truth.bodies[TARGET]
        moved = float(np.linalg.norm(beaker.position - self._expected))
        if phase in ("start", "clear", "travel", "stop above", "descend") and moved > _MOVED:
            return "the beaker was moved"
        if phase in ("lift", "hold") and not is_held(truth, self._size.diameter):
            return "missed or lost"
        if over and phase == "hold" and beaker.position[2] < _HELD_HEIGHT:
            return "not high enough"
        if over and phase in ("toppled", "out of reach"):
            return phase
        return ""

    def _lift(self, truth: Truth, motion: MotionBuilder) -> None:
        motion.grip(self._size.diameter - _SQUEEZE, 0.05, "lift")
        rise = max(_LIFT - float(truth.bodies[TARGET].position[2]), 0.0)
        pose = truth.tools[0].copy()
        pose[2, 3] += rise
        up = self.straight(motion.joints, pose) if rise > 0.005 else None
        if up is not None:
            motion.move(up, "lift")
        motion.wait(1.0, "hold")

    def _clear(self, truth: Truth, motion: MotionBuilder) -> None:
        """Let go and go straight up first when low, so that nothing is swept away."""
        pose = truth.tools[0].copy()
        if pose[2, 3] > _SAFE_HEIGHT - 0.02:
            return
        motion.grip(self.arm.gripper.stroke, 0.5, "clear")
        pose[2, 3] = _SAFE_HEIGHT
        up = self.straight(motion.joints, pose)
        if up is not None:
            motion.move(up, "clear")

    def _opening_time(self, truth: Truth) -> float:
        missing = self.arm.gripper.stroke - float(truth.widths[0])
        return max(0.15, missing / self.arm.gripper.speed - 0.5)

    def _obstacles(self, truth: Truth) -> list[Array]:
        names = [name for name in truth.bodies if name.startswith(("clutter", "flask"))]
        return [truth.bodies[name].position for name in names]
