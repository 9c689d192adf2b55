"""The expert that presses the start button."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from labvla_sim.experts.approach import choose
from labvla_sim.experts.base import Expert
from labvla_sim.scene.hot_plate import BUTTON, DEVICE

if TYPE_CHECKING:
    from labvla_policy.runtime.cell import Cell
    from labvla_policy.runtime.types import Array
    from labvla_sim.experts.motion import MotionBuilder
    from labvla_sim.plant.truth import Truth

_TOP = 0.011  # m from the button's frame to its top
_FINGERTIP = 0.010  # m from the tool centre point to the tip
_ABOVE = 0.070  # m, of the stop before the button
_SECONDS_DOWN = 2.0
_SAFE_HEIGHT = 0.20  # m of the tool, to travel over everything on the bench
_MOVED = 0.004  # m of the device, fixed or not; the button has a radius of 12 mm


class PressExpert(Expert):
    """Closes the fingers, stops above the button, goes straight in, leaves and opens."""

    beyond = 0.014  # m past the untouched top: a compliant arm sags against the spring
    aside = 0.0  # m along the panel

    def __init__(self, cell: Cell) -> None:
        super().__init__(cell)
        self._expected = np.zeros(3)

    def decide(self, truth: Truth, motion: MotionBuilder) -> None:
        """Append the whole task from here, or leave when the plate runs."""
        plate = truth.hot_plate
        assert plate is not None
        self._expected = truth.bodies[DEVICE].position
        if plate.running:
            self._leave(truth, motion)
            return
        button = truth.bodies[BUTTON]
        normal = button.rotation[:, 2]
        tip = button.position + normal * (_TOP + plate.travel + _FINGERTIP)
        tip = tip + self.aside * button.rotation[:, 1]
        self._clear(truth, motion, tip)
        obstacles = [
            pose.position for name, pose in truth.bodies.items() if name.startswith("clutter")
        ]
        approach = choose(
            self,
            motion.joints,
            tip - normal * self.beyond,
            -normal,
            _ABOVE + self.beyond,
            obstacles,
        )
        if approach is None:
            motion.wait(1.0, "out of reach")
            return
        motion.grip(0.0, 0.05, "travel")
        motion.move(approach.above, "travel")
        motion.wait(0.15, "stop above")
        motion.move(approach.down, "press", slowest=_SECONDS_DOWN)
        motion.wait(0.3, "press")
        motion.move(np.concatenate([approach.down[-2::-1], approach.above[None]]), "leave")
        motion.grip(self.arm.gripper.stroke, 0.5, "leave")

    def surprise(self, truth: Truth, phase: str, over: bool) -> str:
        """Leave as soon as it runs; follow a device that moves; try again if it does not run."""
        plate = truth.hot_plate
        assert plate is not None
        moved = float(np.linalg.norm(truth.bodies[DEVICE].position - self._expected))
        if phase != "leave" and moved > _MOVED:
            return "the hot plate was moved"
        if phase == "press" and plate.running:
            return "it runs"
        if over and not plate.running:
            return "missed"
        return ""

    def _clear(self, truth: Truth, motion: MotionBuilder, tip: Array) -> None:
        """Go straight up first when low beside something else than the button."""
        pose = truth.tools[0].copy()
        if pose[2, 3] > _SAFE_HEIGHT - 0.02 or np.linalg.norm(pose[:2, 3] - tip[:2]) < 0.01:
            return
        pose[2, 3] = _SAFE_HEIGHT
        up = self.straight(motion.joints, pose)
        if up is not None:
            motion.move(up, "clear")

    def _leave(self, truth: Truth, motion: MotionBuilder) -> None:
        """Go up from wherever the tool is, then open."""
        pose = truth.tools[0].copy()
        if pose[2, 3] < _SAFE_HEIGHT - 0.02:
            pose[2, 3] = _SAFE_HEIGHT
            up = self.straight(motion.joints, pose)
            if up is not None:
                motion.grip(0.0, 0.05, "leave").move(up, "leave")
        motion.grip(self.arm.gripper.stroke, 0.5, "leave")
