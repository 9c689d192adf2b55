"""Attempts that look like the task and are not: what every judge has to refuse.

They are scripted like the experts and, like them, read the true state.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from labvla_sim.experts.approach import choose
from labvla_sim.experts.base import Expert
from labvla_sim.experts.grasp import BELOW_RIM, DOWN, BeakerExpert
from labvla_sim.experts.pick import PickExpert
from labvla_sim.experts.press import PressExpert
from labvla_sim.experts.transport import TransportExpert
from labvla_sim.scene.hot_plate import TOP_RADIUS
from labvla_sim.tasks.pick import TARGET

if TYPE_CHECKING:
    from labvla_policy.runtime.cell import Cell
    from labvla_policy.runtime.types import Array
    from labvla_sim.experts.motion import MotionBuilder
    from labvla_sim.plant.truth import Truth
    from labvla_sim.scene.description import SceneDescription


class Still(Expert):
    """Does nothing."""

    def decide(self, truth: Truth, motion: MotionBuilder) -> None:
        """Stand still."""
        motion.wait(1.0, "still")

    def surprise(self, truth: Truth, phase: str, over: bool) -> str:
        """Never plan again."""
        return ""


class Wanderer(Expert):
    """Moves at random over the bench and plays with the gripper."""

    def __init__(self, cell: Cell, seed: int) -> None:
        super().__init__(cell)
        self._random = np.random.default_rng(seed)

    def decide(self, truth: Truth, motion: MotionBuilder) -> None:
        """Go to a few random postures."""
        limits = self.arm.operating_limits
        for _ in range(12):
            joints = self.reach.comfortable + self._random.uniform(-0.6, 0.6, len(self.arm.joints))
            motion.grip(self._random.uniform(0.0, self.arm.gripper.stroke), 0.05, "wander")
            motion.move(np.clip(joints, limits.position_lower, limits.position_upper), "wander")

    def surprise(self, truth: Truth, phase: str, over: bool) -> str:
        """Go on for ever."""
        return "wander on" if over else ""


class _WrongGrasp(PickExpert):
    """A pick with something wrong; it is tried once."""

    opening: float | None = None  # m, instead of all the way
    width = 0.0  # m, to close to

    def surprise(self, truth: Truth, phase: str, over: bool) -> str:
        """Never plan again."""
        return ""

    def decide(self, truth: Truth, motion: MotionBuilder) -> None:
        """Grasp in the right place, or beside it, then do something wrong."""
        beaker = truth.bodies[TARGET]
        size = self._size
        goal = beaker.position + np.array([0.0, 0.0, size.height - BELOW_RIM])
        right = choose(self, motion.joints, goal, DOWN, 0.10, [])
        if right is None:
            motion.wait(1.0, "out of reach")
            return
        pose = right.pose.copy()
        pose[:3, 3] += self.offset(pose, size.diameter)
        above = pose.copy()
        above[2, 3] += 0.10
        start = self.reach.solve(above, right.above)
        if start is None or (down := self.straight(start, pose)) is None:
            motion.wait(1.0, "out of reach")
            return
        opening = self.arm.gripper.stroke if self.opening is None else self.opening
        motion.grip(opening, 0.8, "travel").move(start, "travel").move(down, "descend")
        motion.grip(self.width, 1.0, "close")
        self.after(motion, pose)
        motion.wait(2.0, "hold")

    def offset(self, pose: Array, diameter: float) -> Array:
        """Return how far beside the right place to grasp."""
        return np.zeros(3)

    def after(self, motion: MotionBuilder, pose: Array) -> None:
        """Do something with what is grasped."""
        self.raise_by(motion, pose, 0.16)

    def raise_by(self, motion: MotionBuilder, pose: Array, height: float) -> None:
        """Go straight up from the grasp."""
        up = pose.copy()
        up[2, 3] += height
        path = self.straight(motion.joints, up)
        if path is not None:
            motion.move(path, "lift")


class LowLift(_WrongGrasp):
    """Lifts 8 cm and stays there."""

    def after(self, motion: MotionBuilder, pose: Array) -> None:
        """Lift too little."""
        self.raise_by(motion, pose, 0.08)


class ShortHold(_WrongGrasp):
    """Lifts just high enough and puts it down at once."""

    def after(self, motion: MotionBuilder, pose: Array) -> None:
        """Lift and lower."""
        self.raise_by(motion, pose, 0.112)
        path = self.straight(motion.joints, pose)
        if path is not None:
            motion.move(path, "lower")


class RimPinch(_WrongGrasp):
    """Takes the wall between the fingers, one inside and one outside."""

    opening = 0.030

    def offset(self, pose: Array, diameter: float) -> Array:
        """Return the way from the middle to the wall."""
        result: Array = pose[:3, 1] * (diameter / 2 - 0.001)
        return result


class Beside(_WrongGrasp):
    """Closes the fingers beside the beaker and lifts nothing."""

    def offset(self, pose: Array, diameter: float) -> Array:
        """Return a place across the fingers' way."""
        result: Array = pose[:3, 0] * (diameter / 2 + 0.025)
        return result


class TiltedLift(_WrongGrasp):
    """Lifts high enough and tilts it by 30 degrees meanwhile."""

    def after(self, motion: MotionBuilder, pose: Array) -> None:
        """Lift, turned about the line between the fingers."""
        cosine, sine = np.cos(np.deg2rad(30.0)), np.sin(np.deg2rad(30.0))
        for side in (-1.0, 1.0):
            tilted = pose.copy()
            turn = np.array([[cosine, 0, side * sine], [0, 1, 0], [-side * sine, 0, cosine]])
            tilted[:3, :3] = pose[:3, :3] @ turn
            tilted[2, 3] += 0.16
            path = self.straight(motion.joints, tilted)
            if path is not None:
                motion.move(path, "lift")
                return


class _WrongPress(PressExpert):
    """A press with something wrong; it is tried once."""

    def surprise(self, truth: Truth, phase: str, over: bool) -> str:
        """Never plan again."""
        return ""


class Hover(_WrongPress):
    """Stops above the button."""

    beyond = -0.004


class HalfPress(_WrongPress):
    """Pushes the button in, but not far enough for its switch."""

    beyond = 0.0022


class PressBeside(_WrongPress):
    """Presses hard on the panel beside the button."""

    beyond = 0.010
    aside = 0.045


class _WrongTransport(TransportExpert):
    """A transport with something wrong at its end; it is tried once."""

    def surprise(self, truth: Truth, phase: str, over: bool) -> str:
        """Never plan again."""
        return ""


class HoldsAbove(_WrongTransport):
    """Stops a centimetre above the plate and stays there."""

    gap = 0.010

    def release(self, motion: MotionBuilder) -> None:
        """Hold on."""
        motion.wait(2.0, "hold")


class HoldsOn(_WrongTransport):
    """Puts it down in the right place and never lets go."""

    def release(self, motion: MotionBuilder) -> None:
        """Hold on."""
        motion.wait(2.0, "hold")


class OverTheEdge(_WrongTransport):
    """Puts it down so that it stands with half of its foot over the plate's edge."""

    def target(self, truth: Truth) -> Array:
        """Return a place near the edge, on the side from which the beaker comes."""
        middle = super().target(truth)
        return middle + (TOP_RADIUS - 0.006) * _level(truth.bodies[TARGET].position - middle)


class PutsBeside(_WrongTransport):
    """Puts it down on the bench, near the plate."""

    def target(self, truth: Truth) -> Array:
        """Return a place on the way from where the beaker stands."""
        middle, start = super().target(truth), truth.bodies[TARGET].position
        place: Array = middle + 0.60 * (start - middle)
        place[2] = start[2]
        return place


class Drops(_WrongTransport):
    """Lets it go too high above the plate; glass would not survive what a simulated beaker does."""

    gap = 0.050


def _level(way: Array) -> Array:
    """Return the direction along the bench."""
    flat: Array = way * [1.0, 1.0, 0.0]
    return flat / np.linalg.norm(flat)


Impostor = Callable[["Cell", "SceneDescription", int], Expert]

_ANY_TASK: dict[str, Impostor] = {
    "Still": lambda cell, scene, seed: Still(cell),
    "Wanderer": lambda cell, scene, seed: Wanderer(cell, seed),
}


def _of_beaker(kind: type[BeakerExpert]) -> Impostor:
    return lambda cell, scene, seed: kind(cell, scene)


def _press(kind: type[PressExpert]) -> Impostor:
    return lambda cell, scene, seed: kind(cell)


IMPOSTORS: dict[str, dict[str, Impostor]] = {
    "pick": _ANY_TASK
    | {
        kind.__name__: _of_beaker(kind)
        for kind in (LowLift, ShortHold, RimPinch, Beside, TiltedLift)
    },
    "press": _ANY_TASK | {kind.__name__: _press(kind) for kind in (Hover, HalfPress, PressBeside)},
    "transport": _ANY_TASK
    | {
        kind.__name__: _of_beaker(kind)
        for kind in (HoldsAbove, HoldsOn, OverTheEdge, PutsBeside, Drops)
    },
}
