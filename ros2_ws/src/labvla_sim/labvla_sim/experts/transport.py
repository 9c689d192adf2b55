"""The expert that puts the beaker on the hot plate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from labvla_sim.experts.approach import choose
from labvla_sim.experts.grasp import BELOW_RIM, DOWN, BeakerExpert
from labvla_sim.scene.hot_plate import HEIGHT
from labvla_sim.tasks.pick import TARGET
from labvla_sim.tasks.transport import stands_on_plate, top_of_plate

if TYPE_CHECKING:
    from labvla_policy.runtime.cell import Cell
    from labvla_policy.runtime.types import Array
    from labvla_sim.experts.motion import MotionBuilder
    from labvla_sim.plant.truth import Truth
    from labvla_sim.scene.description import SceneDescription

_CARRIED = 0.165  # m of the foot above the bench: over the plate, and over everything beside it
_HIGH_ENOUGH = 0.145  # m of it, to travel without being lifted first
_GAP = 0.001  # m under the foot where the arm stops lowering it; a compliant arm sags that far
_SECONDS_DOWN = 1.2
_RETREAT = 0.12  # m
_BESIDE = 0.06  # m from the beaker's axis: a tool that is nearer has the beaker between its fingers
_PLATE_MOVED = 0.006  # m
_ON_THE_WAY = ("lift", "carry", "stop over", "lower")


class TransportExpert(BeakerExpert):
    """Grasps the beaker, lifts it, stops above the plate, puts it down and goes up without it."""

    gap = _GAP

    def __init__(self, cell: Cell, description: SceneDescription) -> None:
        super().__init__(cell, description)
        self._goal = np.zeros(3)

    def decide(self, truth: Truth, motion: MotionBuilder) -> None:
        """Append what is left of the task: nothing but to leave where it is done."""
        self._expected = truth.bodies[TARGET].position
        self._goal = top_of_plate(truth)
        if stands_on_plate(truth, self._size.diameter):
            self.leave(truth, motion)
            return
        if self.holds(truth):
            self.squeeze(motion, 0.05, "lift")
            pose, depth = truth.tools[0].copy(), self._depth(truth)
        else:
            approach = self.grasp(truth, motion)
            if approach is None:
                return
            pose, depth = approach.pose.copy(), self._size.height - BELOW_RIM
        self.carry(truth, motion, pose, depth)
        self.release(motion)

    def surprise(self, truth: Truth, phase: str, over: bool) -> str:
        """Notice a beaker that moved, was not grasped or fell, and a plate that moved."""
        if phase in _ON_THE_WAY and not self.holds(truth):
            return "missed or lost"
        moved = float(np.linalg.norm(top_of_plate(truth) - self._goal))
        if phase not in ("release", "leave", "stand") and moved > _PLATE_MOVED:
            return "the hot plate was moved"
        if over and phase == "stand" and not stands_on_plate(truth, self._size.diameter):
            return "not on the hot plate"
        return self.misses(truth, phase, over)

    def carry(self, truth: Truth, motion: MotionBuilder, pose: Array, depth: float) -> None:
        """Append the way from the grasp to the plate; `depth` is from the tool to the foot."""
        foot = pose[2, 3] - depth
        if foot < _HIGH_ENOUGH:
            raised = pose.copy()
            raised[2, 3] += _CARRIED - foot
            up = self.straight(motion.joints, raised)
            if up is not None:
                motion.move(up, "lift")
        goal = self.target(truth) + np.array([0.0, 0.0, depth + self.gap])
        clearance = _CARRIED - HEIGHT - self.gap
        approach = choose(self, motion.joints, goal, DOWN, clearance, self.obstacles(truth))
        if approach is None:
            motion.wait(1.0, "out of reach")
            return
        motion.move(approach.above, "carry")
        motion.wait(0.2, "stop over")
        motion.move(approach.down, "lower", slowest=_SECONDS_DOWN)
        motion.wait(0.2, "lower")

    def release(self, motion: MotionBuilder) -> None:
        """Append opening, the way up and standing there."""
        motion.grip(self.arm.gripper.stroke, 0.7, "release")
        pose = self.arm.base.matrix() @ self.reach.tool(motion.joints)
        pose[2, 3] += _RETREAT
        up = self.straight(motion.joints, pose)
        if up is not None:
            motion.move(up, "leave")
        motion.wait(0.5, "stand")

    def target(self, truth: Truth) -> Array:
        """Return where the middle of the foot shall stand."""
        return top_of_plate(truth)

    def leave(self, truth: Truth, motion: MotionBuilder) -> None:
        """Let go and go up where the hand is still around the beaker."""
        away = truth.tools[0][:3, 3] - truth.bodies[TARGET].position
        if np.hypot(*away[:2]) < _BESIDE and away[2] < self._size.height + 0.02:
            self.release(motion)
        else:
            motion.wait(0.5, "stand")

    def _depth(self, truth: Truth) -> float:
        """Return how far the foot is below the tool, along the hand."""
        tool = truth.tools[0]
        offset: float = tool[:3, 2] @ (truth.bodies[TARGET].position - tool[:3, 3])
        return offset
