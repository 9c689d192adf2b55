"""What a person's device asks for: the velocity of a tool, and how far its fingers are open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from labvla_policy.runtime.cell import Cell
from labvla_policy.runtime.refusal import Refusal, Refused
from labvla_policy.runtime.types import Array

Frame = Literal["tool", "base"]
FRAMES: tuple[Frame, ...] = get_args(Frame)

# A device that asks for more has its units wrong: no person steers a hand among glass this fast.
FASTEST = 0.25  # m/s
FASTEST_TURN = 1.0  # rad/s


@dataclass(frozen=True, eq=False)
class Jog:
    """The wish of a moment."""

    arrived: int  # ns
    arm: int  # index in cell.arms
    frame: Frame
    twist: Array  # m/s along and rad/s about x, y, z of the frame

    @property
    def deflected(self) -> bool:
        """Whether the arm shall move at all."""
        return bool(np.any(self.twist))


def read_jog(cell: Cell, frame_id: str, twist: Sequence[float], arrived: int) -> Jog:
    """Return the jog that a message stands for, or refuse it.

    `frame_id` is `tool` or `base`; in a cell of several arms `ARM/tool` or `ARM/base`.
    """
    arm_name, _, frame = frame_id.rpartition("/")
    names = [arm.name for arm in cell.arms]
    if frame not in FRAMES or arm_name not in ([*names, ""] if len(names) == 1 else names):
        wanted = [f"{name}/{frame}" for name in names for frame in FRAMES]
        alone = "tool, base, " if len(names) == 1 else ""
        raise _refused("jog_frame", f"expected {alone}{', '.join(wanted)}, got {frame_id!r}")
    wish = np.array(twist, dtype=np.float64)
    if not np.all(np.isfinite(wish)):
        raise _refused("jog_not_finite", f"the twist is {wish.tolist()}")
    for part, limit, unit in ((wish[:3], FASTEST, "m/s"), (wish[3:], FASTEST_TURN, "rad/s")):
        speed = float(np.linalg.norm(part))
        if speed > limit * (1 + 1e-6):
            raise Refused(
                Refusal(
                    "jog_speed",
                    f"expected at most {limit:g} {unit}, got {speed:.3g}: compare the units",
                    value=speed,
                    limit=limit,
                )
            )
    index = names.index(arm_name) if arm_name else 0
    return Jog(arrived, index, "tool" if frame == "tool" else "base", wish)


def read_openings(
    cell: Cell, names: Sequence[str], targets: Sequence[float]
) -> Mapping[str, float]:
    """Return the wanted openings (m) by gripper, or refuse them."""
    strokes = {arm.gripper_name: arm.gripper.stroke for arm in cell.arms}
    unknown = [name for name in names if name not in strokes]
    if unknown or len(names) != len(targets) or not len(names):
        raise _refused(
            "jog_gripper",
            f"expected one opening for each of {', '.join(strokes)}, got {len(targets)} for "
            f"{', '.join(names) or 'none'}",
        )
    openings = dict(zip(names, map(float, targets), strict=True))
    for name, opening in openings.items():
        if not 0.0 <= opening <= strokes[name]:
            raise _refused(
                "jog_gripper", f"expected 0 to {strokes[name]:g} m for {name}, got {opening:g}"
            )
    return openings


def _refused(reason: str, detail: str) -> Refused:
    return Refused(Refusal(reason, detail))
