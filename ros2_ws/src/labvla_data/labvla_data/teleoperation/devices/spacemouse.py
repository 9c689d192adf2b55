"""A SpaceMouse, as the kernel shows it: six axes of one cap, and two or more buttons."""

from __future__ import annotations

from pathlib import Path

from labvla_data.teleoperation.devices import event_file
from labvla_data.teleoperation.devices.event_file import EV_ABS, EV_KEY, EV_REL, EV_SYN, Source
from labvla_data.teleoperation.reading import Button, Moment, Reading, at_rest_zero

FULL = 350  # what the cap says when it is pushed all the way
# Kernels up to 6.x tell the cap's deflection as relative motion, repeated while it lasts, and leave
# zeros out: an axis that is not repeated has come back.
LAPSE = 0.1  # s

BTN_0 = 256
BUTTONS = {BTN_0: Button.GRIPPER, BTN_0 + 1: Button.START}
# A long press of either button ends what it began; two buttons are all that the small ones have.
LONG = 0.8  # s
LONG_PRESSES = {BTN_0: Button.HAND_BACK, BTN_0 + 1: Button.SUCCESS}
# The cap's x is to the right, y towards the person, z down.
_PLACES = ((1, -1.0), (0, -1.0), (2, -1.0), (4, -1.0), (3, -1.0), (5, -1.0))
_MAKERS = ("3dconnexion", "spacemouse", "spacenavigator", "space navigator")

HELP = """push, pull and turn the cap: the tool follows
left button: gripper, held: hand back; right button: begin an episode, held: success"""


class SpaceMouse:
    """Keeps where the cap is."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._ranges = {axis: source.range_of(axis) for axis in range(6)}
        self._axes = [0.0] * 6
        self._heard: float | None = None  # s, last relative motion
        self._since: dict[int, float] = {}  # s, buttons that are held

    @property
    def name(self) -> str:
        """What the device calls itself."""
        return self._source.name

    def read(self, moment: Moment) -> Reading:
        """Return the cap and pressed buttons."""
        pressed: list[Button] = []
        report: dict[int, float] = {}
        for event in self._source.events():
            if event.kind == EV_REL and event.code < 6:
                report[event.code] = event.value / FULL
                self._heard = moment.t
            elif event.kind == EV_ABS and event.code < 6:
                known = self._ranges[event.code]
                self._set(event.code, known.share(event.value) if known else event.value / FULL)
            elif event.kind == EV_KEY and event.code in BUTTONS:
                pressed += self._press(event.code, event.value, moment.t)
            elif event.kind == EV_SYN and report:
                for axis in range(6):
                    self._set(axis, report.get(axis, 0.0))
                report = {}
        if self._heard is not None and moment.t - self._heard > LAPSE:
            self._axes, self._heard = [0.0] * 6, None
        return Reading(at_rest_zero(self._axes), tuple(pressed))

    def close(self) -> None:
        """Give it back."""
        self._source.close()

    def _set(self, axis: int, share: float) -> None:
        place, sign = _PLACES[axis]
        self._axes[place] = sign * share

    def _press(self, code: int, value: int, t: float) -> list[Button]:
        """A press counts when it ends: only then is it known whether it was a long one."""
        if value:
            self._since.setdefault(code, t)
            return []
        since = self._since.pop(code, None)
        if since is None:
            return []
        return [LONG_PRESSES[code] if t - since >= LONG else BUTTONS[code]]


def open_spacemouse(path: Path | None = None) -> SpaceMouse:
    """Open the first SpaceMouse, or the input device of a path."""

    def fits(device: event_file.EventFile) -> bool:
        return any(maker in device.name.lower() for maker in _MAKERS)

    return SpaceMouse(event_file.find("SpaceMouse", fits, path))
