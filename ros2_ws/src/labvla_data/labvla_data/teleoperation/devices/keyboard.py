"""The keys of a terminal. A terminal tells presses and repetitions, never that a key was let go."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty

from labvla_data.teleoperation.reading import Button, DeviceLost, DeviceMissing, Moment, Reading

# s that a press lasts: longer than the pause between two repetitions of a key that is held, and
# shorter than what the arm's own dead man's handle allows.
LASTS = 0.15

MOTIONS = {
    "w": (0, 1.0), "s": (0, -1.0), "a": (1, 1.0), "d": (1, -1.0), "r": (2, 1.0), "f": (2, -1.0),
    "u": (3, 1.0), "o": (3, -1.0), "i": (4, 1.0), "k": (4, -1.0), "j": (5, 1.0), "l": (5, -1.0),
}  # fmt: skip
BUTTONS = {
    " ": Button.GRIPPER, "b": Button.START, "y": Button.SUCCESS, "n": Button.FAILURE,
    "m": Button.FINISH, "x": Button.DISCARD, "t": Button.TAKE_OVER, "h": Button.HAND_BACK,
    "g": Button.FRAME, "-": Button.SLOWER, "+": Button.FASTER, "\x1b": Button.STOP,
    "q": Button.QUIT, "\x03": Button.QUIT,
}  # fmt: skip

HELP = """w/s x, a/d y, r/f z, u/o roll, i/k pitch, j/l yaw; +/- speed, g frame, space gripper
b begins an episode, y success, n failure, m finish (unknown), x discards
t take over, h hand back to the policy, Esc stops the cell, q quits"""


class Keyboard:
    """Reads single keys while it is open, and leaves the terminal as it was."""

    name = "keyboard"

    def __init__(self, descriptor: int | None = None) -> None:
        self._descriptor = sys.stdin.fileno() if descriptor is None else descriptor
        if not os.isatty(self._descriptor):
            raise DeviceMissing("the keyboard needs a terminal: standard input is none")
        self._before = termios.tcgetattr(self._descriptor)
        tty.setcbreak(self._descriptor)
        self._until: dict[int, float] = {}  # s, by axis
        self._axes = [0.0] * 6

    def read(self, moment: Moment) -> Reading:
        """Return what the keys that were pressed of late ask for."""
        pressed = []
        for key in self._keys():
            if key in MOTIONS:
                axis, sign = MOTIONS[key]
                self._axes[axis], self._until[axis] = sign, moment.t + LASTS
            elif key in BUTTONS:
                pressed.append(BUTTONS[key])
        axes = [
            value if moment.t < self._until.get(axis, 0.0) else 0.0
            for axis, value in enumerate(self._axes)
        ]
        return Reading(tuple(axes), tuple(pressed))

    def close(self) -> None:
        """Leave the terminal as it was."""
        termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._before)

    def _keys(self) -> str:
        keys = ""
        while select.select([self._descriptor], [], [], 0)[0]:
            try:
                data = os.read(self._descriptor, 256)
            except OSError:
                data = b""
            if not data:
                raise DeviceLost("the terminal was closed")
            keys += data.decode(errors="ignore")
        # Arrow and function keys come as an escape and more: not what Esc alone means.
        return "" if len(keys) > 1 and keys[0] == "\x1b" else keys.lower()
