"""What experts do with the beaker before anything else: come to it, close around it, lift it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from labvla_sim.experts.approach import Approach, choose
from labvla_sim.experts.base import Expert
from labvla_sim.scene.glass import size_of
from labvla_sim.tasks.pick import TARGET, is_held

if TYPE_CHECKING:
    from labvla_policy.runtime.cell import Cell
    from labvla_policy.runtime.types import Array
    from labvla_sim.experts.motion import MotionBuilder
    from labvla_sim.plant.truth import Truth
    from labvla_sim.scene.description import SceneDescription

DOWN = np.array([0.0, 0.0, -1.0])
BELOW_RIM = 0.028  # m from the rim to the pads: the palm stays 17 mm above the rim
_ABOVE = 0.100  # m, of the stop above the grasp: the tips are clear of the rim
_SAFE_HEIGHT = 0.22  # m of the tool, to travel over everything on the bench
_SQUEEZE = 0.012  # m less than the diameter: with the gripper's stiffness more than enough force
_TOPPLED = float(np.deg2rad(30.0))
_MOVED = 0.012  # m


class BeakerExpert(Expert):
    """Opens, stops above the beaker, goes straight down around it and closes."""

    def __init__(self, cell: Cell, description: SceneDescription) -> None:
        super().__init__(cell)
        self._size = size_of(description.beaker(TARGET))
        self._expected = np.zeros(3)

    def holds(self, truth: Truth) -> bool:
        """Whether the beaker is between the fingers."""
        return is_held(truth, self._size.diameter)

    def grasp(self, truth: Truth, motion: MotionBuilder) -> Approach | None:
        """Append all that it takes to have the beaker between the fingers, or wait."""
        beaker = truth.bodies[TARGET]
        if beaker.tilt > _TOPPLED:
            # Standing a fallen beaker up again is another skill.
            motion.wait(1.0, "toppled")
            return None
        self._clear(truth, motion)
        goal = beaker.position + np.array([0.0, 0.0, self._size.height - BELOW_RIM])
        approach = choose(self, motion.joints, goal, DOWN, _ABOVE, self.obstacles(truth))
        if approach is None:
            motion.wait(1.0, "out of reach")
            return None
        motion.grip(self.arm.gripper.stroke, 0.05, "travel")
        motion.move(approach.above, "travel")
        motion.grip(self.arm.gripper.stroke, self._opening_time(truth), "stop above")
        motion.move(approach.down, "descend")
        motion.wait(0.1, "descend")
        self.squeeze(motion, 0.9, "close")
        return approach

    def squeeze(self, motion: MotionBuilder, seconds: float, phase: str) -> None:
        """Append a grip that holds the beaker."""
        motion.grip(self._size.diameter - _SQUEEZE, seconds, phase)

    def misses(self, truth: Truth, phase: str, over: bool) -> str:
        """Return why there is no grasp to come: the beaker moved away, or cannot be had."""
        moved = float(np.linalg.norm(truth.bodies[TARGET].position - self._expected))
        if phase in ("start", "clear", "travel", "stop above", "descend") and moved > _MOVED:
            return "the beaker was moved"
        if over and phase in ("toppled", "out of reach"):
            return phase
        return ""

    def obstacles(self, truth: Truth) -> list[Array]:
        """Return where things stand that the palm should not come over."""
        names = [name for name in truth.bodies if name.startswith(("clutter", "flask"))]
        return [truth.bodies[name].position for name in names]

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
