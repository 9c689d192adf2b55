"""What goes wrong before a demonstration is recorded, so that the expert has to recover.

Recording begins when the last disturbance is over. A policy predicts many rows from each frame; a
disturbance in the midst of a recording would be among the rows of all frames before it, as if the
expert had wanted it.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from labvla_sim.experts.ik import Reach
from labvla_sim.tasks.disturbance import TargetMove, sample_target_move
from labvla_sim.tasks.sampling import NoRoom

if TYPE_CHECKING:
    from labvla_policy.runtime.cell import Arm, Cell
    from labvla_policy.runtime.types import Array
    from labvla_sim.tasks.episode import Episode
    from labvla_sim.tasks.variation import Span

Kind = Literal["usual", "wrong_start", "arm_displaced", "target_displaced", "led"]

# Shares of the episodes. Most failures of a policy begin where a demonstration never was.
MIXTURE: dict[Kind, float] = {
    "usual": 0.25,
    "wrong_start": 0.20,
    "arm_displaced": 0.40,
    "target_displaced": 0.15,
}
_WRONG_START = 0.25  # rad, standard deviation per joint
_WRONG_HEIGHT = 0.20  # m of the tool, above everything on the bench
_HIGHEST = 0.55  # m of a displaced tool: higher up, cameras see no more of the arm than its foot
# s since the reset, up to about when the plate has started, the beaker is held, or put down.
_KICK_TIME: dict[str, Span] = {"press": (0.4, 3.0), "pick": (0.4, 4.0), "transport": (0.4, 7.0)}
_KICK_SIZE: Span = (0.04, 0.20)  # rad, of the joint that is moved furthest
_TOGGLED = 0.35  # share of the kicks in which the gripper goes the other way, too
_TARGET_MOVE: Span = (0.02, 0.07)  # m
# s since the reset at which the expert takes over from a policy: in the midst of the way, or when
# it should long be done and hangs somewhere.
_TAKEN_OVER: tuple[Span, ...] = ((0.8, 5.0), (5.0, 14.0))
_LOWEST = 0.03  # m that a displaced tool stays above the bench
_TRIES = 100


@dataclass(frozen=True)
class Kick:
    """The arm is led elsewhere, by somebody else than the expert, and comes to rest there."""

    time: float  # s since the reset
    offset: tuple[float, ...]  # rad, per joint of the first arm
    toggles: bool  # the gripper opens or closes, too


@dataclass(frozen=True)
class Course:
    """How one demonstration is disturbed."""

    kind: Kind
    kick: Kick | None = None
    move: TargetMove | None = None


def sample_course(cell: Cell, episode: Episode) -> tuple[Episode, Course]:
    """Draw what goes wrong; the episode comes back with the posture in which it starts.

    Both follow from the episode alone. A target without room to be moved leaves it as usual.
    """
    label = zlib.crc32(f"{episode.task}/{episode.variation}/course".encode())
    random = np.random.default_rng([episode.seed, label])
    kind: Kind = random.choice(list(MIXTURE), p=list(MIXTURE.values()))
    if kind == "wrong_start":
        return _started_wrong(cell, episode, random), Course("wrong_start")
    if kind == "arm_displaced":
        return episode, Course(
            "arm_displaced", kick=_sample_kick(cell.arms[0], episode.task, random)
        )
    if kind == "target_displaced":
        try:
            move = sample_target_move(cell, episode, float(random.uniform(*_TARGET_MOVE)))
        except NoRoom:
            return episode, Course("usual")
        return episode, Course("target_displaced", move=move)
    return episode, Course("usual")


def sample_takeover(cell: Cell, episode: Episode) -> Course:
    """Draw when the expert takes over from a policy that has led the arm until then."""
    label = zlib.crc32(f"{episode.task}/{episode.variation}/takeover".encode())
    random = np.random.default_rng([episode.seed, label])
    span = _TAKEN_OVER[random.integers(len(_TAKEN_OVER))]
    stay = (0.0,) * len(cell.arms[0].joints)
    return Course("led", kick=Kick(float(random.uniform(*span)), stay, toggles=False))


def displaced(cell: Cell, joints: Array, offset: tuple[float, ...]) -> Array:
    """Return where a kick leads the first arm: as far of it as leaves the tool in its workspace.

    The other way round is as good; where neither is possible the arm stays.
    """
    arm = cell.arms[0]
    limits, reach = arm.operating_limits, Reach(arm)
    height = float((arm.base.matrix() @ reach.tool(joints))[2, 3])
    # Where the hand works it is below the usual height, and must not be pressed further down.
    lowest = max(_LOWEST, min(height, 0.12))
    for share in (1.0, -1.0, 0.5, -0.5):
        there = np.clip(
            joints + share * np.array(offset),
            np.asarray(limits.position_lower) + 0.05,
            np.asarray(limits.position_upper) - 0.05,
        )
        if _inside(cell, arm, reach, there, lowest):
            return there
    return joints.copy()


def _started_wrong(cell: Cell, episode: Episode, random: np.random.Generator) -> Episode:
    arm = cell.arms[0]
    count, reach, limits = len(arm.joints), Reach(arm), arm.operating_limits
    for _ in range(_TRIES):
        joints = np.clip(
            reach.comfortable + random.normal(0.0, _WRONG_START, count),
            np.asarray(limits.position_lower) + 0.05,
            np.asarray(limits.position_upper) - 0.05,
        )
        if _inside(cell, arm, reach, joints, _WRONG_HEIGHT):
            others = episode.joints[count:]
            return replace(episode, joints=(*(float(joint) for joint in joints), *others))
    raise NoRoom(f"{episode.task}, seed {episode.seed}: no wrong posture in {_TRIES} draws")


def _sample_kick(arm: Arm, task: str, random: np.random.Generator) -> Kick:
    direction = random.normal(0.0, 1.0, len(arm.joints))
    size = random.uniform(*_KICK_SIZE)
    offset = size * direction / np.abs(direction).max()
    return Kick(
        time=float(random.uniform(*_KICK_TIME[task])),
        offset=tuple(float(value) for value in offset),
        toggles=bool(random.random() < _TOGGLED),
    )


def _inside(cell: Cell, arm: Arm, reach: Reach, joints: Array, lowest: float) -> bool:
    x, y, z = (arm.base.matrix() @ reach.tool(joints))[:3, 3]
    box = cell.workspace.tool
    margin = 0.02
    return bool(
        lowest <= z <= _HIGHEST
        and box.lower[0] + margin <= x <= box.upper[0] - margin
        and box.lower[1] + margin <= y <= box.upper[1] - margin
    )
