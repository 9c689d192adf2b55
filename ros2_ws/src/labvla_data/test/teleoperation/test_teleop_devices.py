"""What hands do, as the kernel and a terminal tell it, and what becomes of it if it goes wrong."""

import errno
import os
import pty
import termios

import pytest

from labvla_data.teleoperation.devices import event_file, gamepad, keyboard, spacemouse
from labvla_data.teleoperation.devices.event_file import (
    EV_ABS,
    EV_KEY,
    EV_REL,
    EV_SYN,
    SYN_DROPPED,
    EventFile,
    Range,
)
from labvla_data.teleoperation.devices.gamepad import Gamepad
from labvla_data.teleoperation.devices.keyboard import Keyboard
from labvla_data.teleoperation.devices.spacemouse import SpaceMouse
from labvla_data.teleoperation.reading import Button, DeviceLost, DeviceMissing, Moment

STICK = Range(-32768, 32767)
TRIGGER = Range(0, 255)
STILL = (0.0,) * 6


class Pipe:
    """An input device whose events are written by the test, read by the real reader."""

    def __init__(self, folder, ranges):
        self.path = folder / "event7"
        os.mkfifo(self.path)
        self._reader = EventFile(self.path)
        self._writer = os.open(self.path, os.O_WRONLY)
        self._ranges = ranges
        self.name = "a device"
        self.events, self.close = self._reader.events, self._reader.close

    def range_of(self, axis):
        return self._ranges.get(axis)

    def write(self, *events):
        for event in (*events, (EV_SYN, 0, 0)):
            os.write(self._writer, event_file.EVENT.pack(0, 0, *event))

    def unplug(self):
        os.close(self._writer)


def at(t=0.0):
    return Moment(t, None)


@pytest.fixture
def pad(tmp_path):
    ranges = dict.fromkeys((0, 1, 3, 4), STICK) | {2: TRIGGER, 5: TRIGGER}
    pipe = Pipe(tmp_path, ranges)
    return pipe, Gamepad(pipe)


HOLD = (EV_KEY, gamepad.HOLD, 1)


def test_the_left_stick_moves_forward_and_aside(pad):
    pipe, device = pad
    pipe.write(HOLD, (EV_ABS, gamepad.ABS_Y, -32768), (EV_ABS, gamepad.ABS_X, 32767))
    assert device.read(at()).axes == pytest.approx((1, -1, 0, 0, 0, 0), abs=1e-3)
    pipe.write((EV_ABS, gamepad.ABS_Y, 300), (EV_ABS, gamepad.ABS_X, -200))  # nearly at rest
    assert device.read(at()).axes == STILL


def test_a_stick_that_is_held_still_says_nothing_and_stays_deflected(pad):
    pipe, device = pad
    pipe.write(HOLD, (EV_ABS, gamepad.ABS_RY, -32768))
    first = device.read(at()).axes
    assert first[2] == pytest.approx(1)
    assert device.read(at(1.0)).axes == first


def test_nothing_moves_without_the_dead_mans_handle(pad):
    pipe, device = pad
    pipe.write((EV_ABS, gamepad.ABS_Y, -32768))
    assert device.read(at()).axes == STILL
    pipe.write(HOLD)
    assert device.read(at()).axes[0] == pytest.approx(1)
    pipe.write((EV_KEY, gamepad.HOLD, 0))
    assert device.read(at()).axes == STILL


def test_triggers_tilt_and_rest_at_their_low_end(pad):
    pipe, device = pad
    pipe.write(HOLD)
    assert device.read(at()).axes == STILL
    pipe.write((EV_ABS, gamepad.ABS_RZ, 255))
    assert device.read(at()).axes[4] == pytest.approx(1)
    pipe.write((EV_ABS, gamepad.ABS_Z, 255))
    assert device.read(at()).axes[4] == 0


def test_buttons_count_once_and_when_they_go_down(pad):
    pipe, device = pad
    pipe.write((EV_KEY, gamepad.SOUTH, 1), (EV_KEY, gamepad.START, 1))
    assert device.read(at()).pressed == (Button.GRIPPER, Button.START)
    pipe.write((EV_KEY, gamepad.SOUTH, 2), (EV_KEY, gamepad.SOUTH, 0), (EV_KEY, 999, 1))
    assert device.read(at()).pressed == ()
    pipe.write((EV_ABS, gamepad.ABS_HAT_Y, -1), (EV_ABS, gamepad.ABS_HAT_Y, 0))
    assert device.read(at()).pressed == (Button.FASTER,)


def test_lost_events_let_everything_go(pad):
    pipe, device = pad
    pipe.write(HOLD, (EV_ABS, gamepad.ABS_Y, -32768))
    device.read(at())
    pipe.write((EV_SYN, SYN_DROPPED, 0))
    assert device.read(at()).axes == STILL
    pipe.write(HOLD)
    assert device.read(at()).axes == STILL  # the stick has to move before it counts again


def test_an_unplugged_device_is_lost_and_named(pad):
    pipe, device = pad
    pipe.unplug()
    with pytest.raises(DeviceLost, match="unplugged"):
        device.read(at())


def test_the_kernels_word_for_unplugged(pad, monkeypatch):
    _, device = pad

    def gone(*_):
        raise OSError(errno.ENODEV, "No such device")

    monkeypatch.setattr(event_file.select, "select", lambda *_: ([1], [], []))
    monkeypatch.setattr(event_file.os, "read", gone)
    with pytest.raises(DeviceLost):
        device.read(at())


def test_a_cap_that_tells_relative_motion_comes_back_by_itself(tmp_path):
    pipe = Pipe(tmp_path, {})
    device = SpaceMouse(pipe)
    pipe.write((EV_REL, 1, -350), (EV_REL, 5, 175))  # pushed away and turned
    assert device.read(at(0.0)).axes == pytest.approx((1, 0, 0, 0, 0, -0.5))
    pipe.write((EV_REL, 1, -350))  # the turn is over: zeros are not told
    assert device.read(at(0.05)).axes == pytest.approx((1, 0, 0, 0, 0, 0))
    assert device.read(at(0.1)).axes[0] == pytest.approx(1)
    assert device.read(at(0.05 + spacemouse.LAPSE + 0.01)).axes == STILL


def test_a_cap_that_tells_absolute_positions_stays(tmp_path):
    pipe = Pipe(tmp_path, {axis: Range(-350, 350) for axis in range(6)})
    device = SpaceMouse(pipe)
    pipe.write((EV_ABS, 2, -350))
    assert device.read(at(0.0)).axes == pytest.approx((0, 0, 1, 0, 0, 0))
    assert device.read(at(5.0)).axes[2] == pytest.approx(1)
    pipe.write((EV_ABS, 2, 0))
    assert device.read(at(5.1)).axes == STILL


def test_a_long_press_means_something_else(tmp_path):
    pipe = Pipe(tmp_path, {})
    device = SpaceMouse(pipe)
    pipe.write((EV_KEY, spacemouse.BTN_0, 1))
    assert device.read(at(0.0)).pressed == ()
    pipe.write((EV_KEY, spacemouse.BTN_0, 0))
    assert device.read(at(0.2)).pressed == (Button.GRIPPER,)
    pipe.write((EV_KEY, spacemouse.BTN_0 + 1, 1))
    device.read(at(1.0))
    pipe.write((EV_KEY, spacemouse.BTN_0 + 1, 0))
    assert device.read(at(2.0)).pressed == (Button.SUCCESS,)


@pytest.fixture
def terminal():
    person, program = pty.openpty()
    device = Keyboard(program)
    yield person, device
    device.close()
    for descriptor in (person, program):
        os.close(descriptor)


def type_in(person, text):
    os.write(person, text.encode())


def test_a_key_moves_for_a_moment(terminal):
    person, device = terminal
    type_in(person, "w")
    assert device.read(at(0.0)).axes == (1, 0, 0, 0, 0, 0)
    assert device.read(at(keyboard.LASTS - 0.01)).axes[0] == 1
    assert device.read(at(keyboard.LASTS + 0.01)).axes == STILL


def test_a_key_that_is_held_repeats_and_two_keys_go_together(terminal):
    person, device = terminal
    for step in range(10):
        type_in(person, "w" if step % 2 else "d")
        device.read(at(step * 0.05))
    assert device.read(at(0.46)).axes == (1, -1, 0, 0, 0, 0)


def test_keys_are_buttons_too_and_unknown_ones_nothing(terminal):
    person, device = terminal
    type_in(person, "b ?Z9y")
    assert device.read(at()).pressed == (Button.START, Button.GRIPPER, Button.SUCCESS)


def test_escape_stops_and_an_arrow_key_does_not(terminal):
    person, device = terminal
    type_in(person, "\x1b")
    assert device.read(at()).pressed == (Button.STOP,)
    type_in(person, "\x1b[A")
    assert device.read(at()).pressed == ()


def test_the_terminal_is_left_as_it_was():
    person, program = pty.openpty()
    before = termios.tcgetattr(program)
    device = Keyboard(program)
    assert termios.tcgetattr(program) != before
    device.close()
    assert termios.tcgetattr(program) == before
    os.close(person)
    os.close(program)


def test_a_pipe_is_no_keyboard():
    reader, writer = os.pipe()
    with pytest.raises(DeviceMissing, match="terminal"):
        Keyboard(reader)
    os.close(reader)
    os.close(writer)


def test_no_device_at_all_and_none_of_this_kind(tmp_path):
    with pytest.raises(DeviceMissing, match="no input device"):
        event_file.find("gamepad", lambda _: True, folder=tmp_path)
    (tmp_path / "event0").touch()
    with pytest.raises(DeviceMissing, match="no gamepad among 1 input devices"):
        event_file.find("gamepad", lambda _: False, folder=tmp_path)


def test_a_named_device_that_is_not_there(tmp_path):
    with pytest.raises(DeviceMissing, match="No such file"):
        gamepad.open_gamepad(tmp_path / "event3")


def test_devices_that_may_not_be_read_are_named_with_the_remedy(tmp_path, monkeypatch):
    (tmp_path / "event4").touch()

    def forbidden(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(event_file.os, "open", forbidden)
    with pytest.raises(DeviceMissing, match=r"event4 may not: .*group input"):
        event_file.find("SpaceMouse", lambda _: True, folder=tmp_path)
