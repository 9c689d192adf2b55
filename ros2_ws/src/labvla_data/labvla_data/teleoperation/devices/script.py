"""A scripted device: steps from a file instead of a hand. For tests, and to repeat a motion.

steps:
  - button: start
  - to: [0.50, 0.10, 0.20]     # m, the tool in the arm's base frame, keeping its turn
    speed: 0.5                 # of the full speed (1)
    within: 0.004              # m (0.004)
  - jog: [0, 0, -1, 0, 0, 0]   # axes, -1 to 1
    seconds: 1.5
    frame: tool                # (base)
  - gripper: open              # open, closed, or m between the fingers
  - wait: 0.5                  # s
  - button: success
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from labvla_data.teleoperation.pilot import Speeds
from labvla_data.teleoperation.reading import Button, Moment, Reading
from labvla_policy.runtime.teleop.jog import FRAMES, Frame
from labvla_policy.runtime.types import Array

GAIN = 3.0  # 1/s: m/s a metre from the goal. The plan leads the arm by 0.1 s; faster would swing.
TURN_GAIN = 2.0  # 1/s
SETTLE = 0.15  # s near the goal before it counts as reached
PATIENCE = 30.0  # s for one goal
BEFORE = 0.3  # s after a button: what it asks for may take a moment to begin
_BUTTONS = {button.value: button for button in Button}


class ScriptError(ValueError):
    """The file is no script; the text says where and what was expected."""


class ScriptFailed(RuntimeError):
    """A goal was not reached, or a request was refused."""


@dataclass(frozen=True, eq=False)
class Goal:
    """Bring the tool somewhere."""

    position: Array
    speed: float
    within: float


@dataclass(frozen=True)
class Push:
    """Hold the stick for a while."""

    axes: tuple[float, ...]
    seconds: float
    frame: Frame


@dataclass(frozen=True)
class Grip:
    """Open or close the fingers."""

    opening: float


@dataclass(frozen=True)
class Wait:
    """Let go for a while."""

    seconds: float


@dataclass(frozen=True)
class Press:
    """Press a button, and wait until it is answered."""

    button: Button


Part = Goal | Push | Grip | Wait | Press


class Script:
    """Plays steps one after the other; quits at the end."""

    def __init__(self, steps: Sequence[Part], speeds: Speeds | None = None) -> None:
        self._steps = list(steps)
        self._speeds = speeds or Speeds()
        self._index = 0
        self._since: float | None = None  # s, begin of the step
        self._near: float | None = None  # s, since when the goal is near
        self._turn: Array | None = None  # that the tool keeps
        self._refused = 0  # requests, when the step began

    @property
    def name(self) -> str:
        """What it is."""
        return f"script of {len(self._steps)} steps"

    def close(self) -> None:
        """There is nothing to give back."""

    def read(self, moment: Moment) -> Reading:
        """Return what the present step asks for."""
        if moment.tool is None:
            return Reading()
        if self._turn is None:
            self._turn = moment.tool[:3, :3].copy()
        if self._index >= len(self._steps):
            return Reading(pressed=(Button.QUIT,))
        begins = self._since is None
        if self._since is None:
            self._since, self._refused = moment.t, moment.refused
        return self._play(self._steps[self._index], moment, moment.t - self._since, begins)

    def _play(self, step: Part, moment: Moment, passed: float, begins: bool) -> Reading:
        match step:
            case Goal():
                return self._towards(step, moment, passed)
            case Push():
                self._turn = moment.tool[:3, :3].copy() if moment.tool is not None else None
                return self._during(passed < step.seconds, Reading(step.axes, frame=step.frame))
            case Grip():
                self._next()
                return Reading(opening=step.opening)
            case Wait():
                return self._during(passed < step.seconds, Reading())
            case Press():
                if moment.refused > self._refused:
                    raise ScriptFailed(f"step {self._index + 1}: {step.button.value} was refused")
                answered = passed > BEFORE and not moment.busy
                pressed = (step.button,) if begins else ()
                return self._during(not answered, Reading(pressed=pressed))

    def _during(self, lasts: bool, reading: Reading) -> Reading:
        if lasts:
            return reading
        self._next()
        return Reading()

    def _next(self) -> None:
        self._index += 1
        self._since = self._near = None

    def _towards(self, goal: Goal, moment: Moment, passed: float) -> Reading:
        assert moment.tool is not None
        assert self._turn is not None
        missing = goal.position - moment.tool[:3, 3]
        distance = float(np.linalg.norm(missing))
        if passed > PATIENCE:
            raise ScriptFailed(
                f"step {self._index + 1}: still {distance * 1000:.0f} mm from "
                f"{np.round(goal.position, 3).tolist()} after {PATIENCE:g} s"
            )
        if distance > goal.within:
            self._near = None
        elif self._near is None:
            self._near = moment.t
        if self._near is not None and moment.t - self._near >= SETTLE:
            self._next()
            return Reading()
        full = goal.speed * self._speeds.linear
        speed = GAIN * missing * min(1.0, full / max(GAIN * distance, 1e-9))
        turn = TURN_GAIN * _turn_between(moment.tool[:3, :3], self._turn)
        axes = np.concatenate([speed / self._speeds.linear, turn / self._speeds.angular])
        return Reading(tuple(np.clip(axes, -1.0, 1.0).tolist()), frame="base")


def _turn_between(now: Array, wanted: Array) -> Array:
    """Return the small rotation (rad, about x, y, z of the base) that is missing."""
    missing = wanted @ now.T
    turn: Array = 0.5 * np.array(
        [
            missing[2, 1] - missing[1, 2],
            missing[0, 2] - missing[2, 0],
            missing[1, 0] - missing[0, 1],
        ]
    )
    return turn


def load_script(path: Path, speeds: Speeds | None = None) -> Script:
    """Read a script, or say what is wrong with it and where."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ScriptError(f"{path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ScriptError(f"{path}: expected YAML: {error}") from None
    if not isinstance(content, dict) or set(content) != {"steps"}:
        raise ScriptError(f"{path}: expected one key, `steps`, with a list")
    steps = content["steps"]
    if not isinstance(steps, list) or not steps:
        raise ScriptError(f"{path}: steps: expected a list with at least one step")
    return Script([_step(path, number, step) for number, step in enumerate(steps, 1)], speeds)


def _step(path: Path, number: int, step: Any) -> Part:
    where = f"{path}: step {number}"
    kinds = [key for key in _READERS if isinstance(step, dict) and key in step]
    if len(kinds) != 1:
        raise ScriptError(f"{where}: expected one of {', '.join(_READERS)}, got {step!r}")
    kind = kinds[0]
    read, others = _READERS[kind]
    unknown = set(step) - {kind, *others}
    if unknown:
        known = ", ".join(others) or "nothing else"
        raise ScriptError(
            f"{where}: beside {kind} expected {known}, got {', '.join(map(str, unknown))}"
        )
    return read(where, step)


def _goal(where: str, step: Mapping[str, Any]) -> Part:
    position = _numbers(where, "to", step["to"], 3)
    speed = _number(where, "speed", step.get("speed", 1.0), 0.0, 1.0)
    return Goal(
        np.array(position), speed, _number(where, "within", step.get("within", 0.004), 0, 1)
    )


def _push(where: str, step: Mapping[str, Any]) -> Part:
    axes = _numbers(where, "jog", step["jog"], 6)
    if max(map(abs, axes)) > 1:
        raise ScriptError(f"{where}: jog: expected numbers from -1 to 1, got {list(axes)}")
    frame = step.get("frame", "base")
    if frame not in FRAMES:
        raise ScriptError(f"{where}: frame: expected {' or '.join(FRAMES)}, got {frame!r}")
    if "seconds" not in step:
        raise ScriptError(f"{where}: jog: expected seconds beside it")
    return Push(axes, _number(where, "seconds", step["seconds"], 0.0, 600.0), frame)


def _grip(where: str, step: Mapping[str, Any]) -> Part:
    wanted = {"open": math.inf, "closed": 0.0}.get(str(step["gripper"]))
    if wanted is None:
        wanted = _number(
            where, "gripper", step["gripper"], -math.inf, 1.0, "open, closed or metres"
        )
    if wanted < 0:
        raise ScriptError(f"{where}: gripper: expected open, closed or metres, got {wanted:g}")
    return Grip(wanted)


def _wait(where: str, step: Mapping[str, Any]) -> Part:
    return Wait(_number(where, "wait", step["wait"], 0.0, 600.0))


def _press(where: str, step: Mapping[str, Any]) -> Part:
    button = _BUTTONS.get(str(step["button"]))
    if button is None:
        raise ScriptError(
            f"{where}: button: expected one of {', '.join(_BUTTONS)}, got {step['button']!r}"
        )
    return Press(button)


def _number(
    where: str, key: str, value: Any, above: float, most: float, expected: str = ""
) -> float:
    number = float(value) if isinstance(value, int | float) and value is not True else math.nan
    if not above < number <= most:
        expected = expected or f"a number above {above:g} and at most {most:g}"
        raise ScriptError(f"{where}: {key}: expected {expected}, got {value!r}")
    return number


def _numbers(where: str, key: str, value: Any, count: int) -> tuple[float, ...]:
    good = isinstance(value, list) and len(value) == count
    if not good or not all(isinstance(one, int | float) and math.isfinite(one) for one in value):
        raise ScriptError(f"{where}: {key}: expected {count} numbers, got {value!r}")
    return tuple(float(one) for one in value)


_READERS: dict[str, tuple[Callable[[str, Mapping[str, Any]], Part], tuple[str, ...]]] = {
    "to": (_goal, ("speed", "within")),
    "jog": (_push, ("seconds", "frame")),
    "gripper": (_grip, ()),
    "wait": (_wait, ()),
    "button": (_press, ()),
}
