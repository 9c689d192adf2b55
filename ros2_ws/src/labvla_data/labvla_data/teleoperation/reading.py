"""What every device says: six axes, and the buttons that were pressed."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from labvla_policy.runtime.teleop.jog import Frame
from labvla_policy.runtime.types import Array

AXES = ("x", "y", "z", "roll", "pitch", "yaw")
STILL = (0.0,) * len(AXES)
_REST = 0.05  # of an axis: sticks do not come back to zero exactly


def at_rest_zero(axes: Iterable[float]) -> tuple[float, ...]:
    """Return a stick's axes with what it says at rest taken for nothing."""
    return tuple(axis if abs(axis) >= _REST else 0.0 for axis in axes)


class Button(enum.Enum):
    """What a press asks for. The values are the names in scripts and in help texts."""

    START = "start"  # begin an episode
    SUCCESS = "success"  # end it: it is a good one
    FAILURE = "failure"  # end it: keep it, but not to train on
    FINISH = "finish"  # end it: to be judged later
    DISCARD = "discard"  # end it and throw it away
    GRIPPER = "gripper"  # open if closed, and the other way round
    TAKE_OVER = "take over"  # from the policy, without moving
    HAND_BACK = "hand back"  # to the policy
    FRAME = "frame"  # jog in the tool's frame, or in the base's
    SLOWER = "slower"
    FASTER = "faster"
    STOP = "stop"  # the latched stop of the cell
    QUIT = "quit"


@dataclass(frozen=True)
class Reading:
    """A device at a moment."""

    axes: tuple[float, ...] = STILL  # -1 to 1 along and about x, y, z
    pressed: tuple[Button, ...] = ()  # since the last reading
    frame: Frame | None = None  # None: the one that the person has chosen
    opening: float | None = None  # m between the fingers; None: no news


@dataclass(frozen=True, eq=False)
class Moment:
    """What a device may look at; only the scripted one does."""

    t: float  # s, the cell's clock
    tool: Array | None  # 4 x 4, in the arm's base frame; None before the first state
    busy: bool = False  # a request is being answered
    refused: int = 0  # requests until now


class Device(Protocol):
    """Something to steer with."""

    @property
    def name(self) -> str:
        """What it is, for the person."""

    def read(self, moment: Moment) -> Reading:
        """Return what it says now, without waiting; DeviceLost when it is gone."""

    def close(self) -> None:
        """Give it back."""


class DeviceMissing(RuntimeError):
    """The environment lacks the device, or the right to read it; the text says what to do."""


class DeviceLost(RuntimeError):
    """The device was there and is not any more."""
