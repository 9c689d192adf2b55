"""A gamepad with two sticks, as the kernel's gamepad interface lays it out.

The arm moves only while the left shoulder button is held: a dead man's handle.
"""

from __future__ import annotations

from pathlib import Path

from labvla_data.teleoperation.devices import event_file
from labvla_data.teleoperation.devices.event_file import EV_ABS, EV_KEY, EV_SYN, Source
from labvla_data.teleoperation.reading import Button, Moment, Reading, at_rest_zero

ABS_X, ABS_Y, ABS_Z, ABS_RX, ABS_RY, ABS_RZ, ABS_HAT_X, ABS_HAT_Y = 0, 1, 2, 3, 4, 5, 16, 17
SOUTH, EAST, NORTH, WEST, LEFT_SHOULDER, RIGHT_SHOULDER = 304, 305, 307, 308, 310, 311
SELECT, START, MODE, LEFT_STICK, RIGHT_STICK = 314, 315, 316, 317, 318
HOLD = LEFT_SHOULDER

BUTTONS = {
    SOUTH: Button.GRIPPER,
    NORTH: Button.SUCCESS,
    EAST: Button.DISCARD,
    WEST: Button.FAILURE,
    START: Button.START,
    SELECT: Button.HAND_BACK,
    MODE: Button.STOP,
    RIGHT_SHOULDER: Button.TAKE_OVER,
    LEFT_STICK: Button.FRAME,
    RIGHT_STICK: Button.FINISH,
}
_HAT = {(ABS_HAT_Y, -1): Button.FASTER, (ABS_HAT_Y, 1): Button.SLOWER}
# Where each stick points to: place among the axes of a reading, and sign. Away is forward (x),
# left is left (y); the right stick lifts and turns, the triggers tilt.
_AXES = {
    ABS_Y: (0, -1.0),
    ABS_X: (1, -1.0),
    ABS_RY: (2, -1.0),
    ABS_RX: (5, -1.0),
}
_TRIGGERS = {ABS_Z: -1.0, ABS_RZ: 1.0}  # about y
_PITCH = 4

HELP = """hold LB/L1 to move; left stick: x, y; right stick: z, yaw; triggers: pitch
A/cross gripper, left stick pressed: frame, cross up and down: speed
Start begins an episode, Y/triangle success, X/square failure, right stick pressed: finish
(unknown), B/circle discards; RB/R1 take over, Back/Select hand back, Guide stops the cell"""


class Gamepad:
    """Keeps where sticks and buttons are: the kernel tells changes only."""

    def __init__(self, source: Source) -> None:
        self._source = source
        axes = (*_AXES, *_TRIGGERS)
        self._ranges = {axis: found for axis in axes if (found := source.range_of(axis))}
        self._values: dict[int, float] = {}
        self._held = False

    @property
    def name(self) -> str:
        """What the device calls itself."""
        return self._source.name

    def read(self, moment: Moment) -> Reading:
        """Return sticks and pressed buttons."""
        pressed = []
        for event in self._source.events():
            if event.kind == EV_SYN and event.code == event_file.SYN_DROPPED:
                self._values.clear()  # changes were lost: whatever was held is let go
                self._held = False
            elif event.kind == EV_ABS and event.code in self._ranges:
                self._values[event.code] = self._ranges[event.code].share(event.value)
            elif event.kind == EV_ABS and (event.code, event.value) in _HAT:
                pressed.append(_HAT[event.code, event.value])
            elif event.kind == EV_KEY and event.code == HOLD:
                self._held = bool(event.value)
            elif event.kind == EV_KEY and event.value == 1 and event.code in BUTTONS:
                pressed.append(BUTTONS[event.code])
        return (
            Reading(self._axes(), tuple(pressed)) if self._held else Reading(pressed=tuple(pressed))
        )

    def close(self) -> None:
        """Give it back."""
        self._source.close()

    def _axes(self) -> tuple[float, ...]:
        axes = [0.0] * 6
        for axis, (place, sign) in _AXES.items():
            axes[place] = sign * self._values.get(axis, 0.0)
        for axis, sign in _TRIGGERS.items():
            # A trigger at rest is at the low end of its range.
            axes[_PITCH] += sign * (self._values.get(axis, -1.0) + 1.0) / 2
        return at_rest_zero(axes)


def open_gamepad(path: Path | None = None) -> Gamepad:
    """Open the first gamepad, or the input device of a path."""

    def fits(device: event_file.EventFile) -> bool:
        return SOUTH in device.capabilities(EV_KEY, 768) and device.range_of(ABS_X) is not None

    return Gamepad(event_file.find("gamepad", fits, path))
