"""A script is read with care, and plays what it says; the pilot turns readings into SI units."""

import numpy as np
import pytest

from labvla_data.teleoperation.devices.script import (
    BEFORE,
    PATIENCE,
    ScriptError,
    ScriptFailed,
    load_script,
)
from labvla_data.teleoperation.pilot import FACTOR, SLOWEST, Pilot, Speeds
from labvla_data.teleoperation.reading import Button, Moment, Reading
from labvla_policy.runtime.cell import load_cell

DT = 1 / 30


@pytest.fixture
def arm():
    return load_cell("franka").arms[0]


def script(folder, text):
    file = folder / "script.yaml"
    file.write_text(text)
    return load_script(file)


def tool(*position):
    pose = np.eye(4)
    pose[:3, 3] = position
    return pose


class Player:
    """Plays a script on a tool that goes exactly where it is sent."""

    def __init__(self, device, arm):
        self.device, self.pilot = device, Pilot(arm)
        self.tool, self.t = tool(0.4, 0.0, 0.3), 0.0
        self.wishes = []

    def run(self, seconds, *, busy=False, refused=0):
        for _ in range(round(seconds / DT)):
            moment = Moment(self.t, self.tool.copy(), busy, refused)
            wish = self.pilot.wish(self.device.read(moment))
            self.wishes.append(wish)
            self.tool[:3, 3] += DT * np.array(wish.twist[:3])
            self.t += DT
        return self

    @property
    def pressed(self):
        return [button for wish in self.wishes for button in wish.asked]


def test_a_goal_is_reached_and_the_next_step_begins(tmp_path, arm):
    player = Player(
        script(tmp_path, "steps:\n- to: [0.5, 0.1, 0.2]\n- gripper: closed\n- button: quit"), arm
    )
    player.run(5.0)
    np.testing.assert_allclose(player.tool[:3, 3], [0.5, 0.1, 0.2], atol=0.004)
    assert [wish.opening for wish in player.wishes if wish.opening is not None] == [0.0]
    assert player.pressed[0] is Button.QUIT
    speeds = [np.linalg.norm(wish.twist[:3]) for wish in player.wishes]
    assert max(speeds) <= Speeds().linear * (1 + 1e-9)


def test_a_push_lasts_as_long_as_it_says_in_its_own_frame(tmp_path, arm):
    text = "steps:\n- {jog: [0, 0, -0.5, 0, 0, 1], seconds: 1.0, frame: tool}\n- wait: 1"
    player = Player(script(tmp_path, text), arm).run(1.9)
    pushes = [wish for wish in player.wishes if any(wish.twist)]
    assert 28 <= len(pushes) <= 31
    assert {wish.frame for wish in pushes} == {"tool"}
    assert pushes[0].twist == pytest.approx((0, 0, -0.06, 0, 0, 0.6))


def test_a_button_is_pressed_once_and_waited_for(tmp_path, arm):
    text = "steps:\n- button: start\n- {jog: [1, 0, 0, 0, 0, 0], seconds: 1}"
    player = Player(script(tmp_path, text), arm).run(BEFORE + 1.0, busy=True)
    assert player.pressed == [Button.START]
    assert not any(any(wish.twist) for wish in player.wishes)
    player.run(0.5)
    assert any(player.wishes[-1].twist)


def test_a_refused_request_ends_the_script(tmp_path, arm):
    player = Player(script(tmp_path, "steps:\n- button: start\n- wait: 9"), arm).run(0.1)
    with pytest.raises(ScriptFailed, match="step 1: start was refused"):
        player.run(0.1, refused=1)


def test_a_goal_that_is_not_reached_ends_the_script(tmp_path, arm):
    device = script(tmp_path, "steps:\n- to: [0.5, 0, 0.2]")
    here = tool(0.3, 0, 0.2)
    device.read(Moment(0.0, here))
    with pytest.raises(ScriptFailed, match="step 1: still 200 mm"):
        device.read(Moment(PATIENCE + 0.1, here))


def test_nothing_moves_before_the_arm_is_known(tmp_path):
    device = script(tmp_path, "steps:\n- {jog: [1, 0, 0, 0, 0, 0], seconds: 1}")
    assert device.read(Moment(0.0, None)) == Reading()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "expected one key, `steps`"),
        ("steps: []", "at least one step"),
        ("steps: 3", "expected a list"),
        ("other: []", "expected one key"),
        ("steps: [", "expected YAML"),
        ("steps:\n- fly: up", "step 1: expected one of to, jog"),
        ("steps:\n- wait: 1\n- {wait: 1, to: [0, 0, 0]}", "step 2: expected one of"),
        ("steps:\n- to: [0, 0]", "to: expected 3 numbers"),
        ("steps:\n- to: [0, .nan, 0]", "to: expected 3 numbers"),
        ("steps:\n- {to: [0, 0, 0], speed: 2}", "speed: expected a number above 0 and at most 1"),
        ("steps:\n- {to: [0, 0, 0], colour: red}", "beside to expected speed, within, got colour"),
        ("steps:\n- jog: [1, 0, 0, 0, 0, 0]", "expected seconds"),
        ("steps:\n- {jog: [2, 0, 0, 0, 0, 0], seconds: 1}", "from -1 to 1"),
        ("steps:\n- {jog: [1, 0, 0, 0, 0, 0], seconds: 1, frame: hand}", "expected tool or base"),
        ("steps:\n- gripper: ajar", "expected open, closed or metres"),
        ("steps:\n- gripper: -0.01", "expected open, closed or metres"),
        ("steps:\n- wait: -1", "wait: expected a number"),
        ("steps:\n- wait: true", "wait: expected a number"),
        ("steps:\n- button: launch", "button: expected one of start"),
    ],
)
def test_what_is_wrong_with_a_script_is_said_with_its_place(tmp_path, text, expected):
    with pytest.raises(ScriptError) as error:
        script(tmp_path, text)
    assert expected in str(error.value)
    assert "script.yaml" in str(error.value)


def test_a_script_that_is_not_there(tmp_path):
    with pytest.raises(ScriptError, match="No such file"):
        load_script(tmp_path / "nowhere.yaml")


def test_a_diagonal_is_not_faster_than_straight_ahead(arm):
    wish = Pilot(arm).wish(Reading((1.0, 1.0, 1.0, 3.0, 0.0, 0.0)))
    assert np.linalg.norm(wish.twist[:3]) == pytest.approx(Speeds().linear)
    assert wish.twist[3:] == pytest.approx((Speeds().angular, 0, 0))


def test_the_gripper_button_opens_and_closes(arm):
    pilot = Pilot(arm)
    press = Reading(pressed=(Button.GRIPPER,))
    openings = [pilot.wish(press).opening for _ in range(3)]
    assert openings == [0.0, arm.gripper.stroke, 0.0]
    assert pilot.wish(Reading()).opening is None
    assert pilot.wish(Reading(opening=9.0)).opening == arm.gripper.stroke
    assert pilot.wish(press).opening == 0.0  # it knows that the script has opened


def test_frame_and_speed_are_the_persons_choice(arm):
    pilot = Pilot(arm)
    assert pilot.wish(Reading()).frame == "base"
    assert pilot.wish(Reading(pressed=(Button.FRAME,))).frame == "tool"
    slow = pilot.wish(Reading((1.0, 0, 0, 0, 0, 0), (Button.SLOWER,))).twist[0]
    assert slow == pytest.approx(Speeds().linear / FACTOR)
    pilot.wish(Reading(pressed=(Button.SLOWER,) * 20))
    assert pilot.share == SLOWEST
    pilot.wish(Reading(pressed=(Button.FASTER,) * 20))
    assert pilot.share == 1.0


def test_others_get_the_buttons_that_concern_them(arm):
    wish = Pilot(arm).wish(Reading(pressed=(Button.START, Button.GRIPPER, Button.STOP)))
    assert wish.asked == (Button.START, Button.STOP)


@pytest.mark.parametrize("speeds", [(0.0, 0.5), (-1, 0.5), (5.0, 0.5), (0.1, 0.0), (0.1, 9.0)])
def test_speeds_beyond_reason_are_refused(speeds):
    with pytest.raises(ValueError, match="speed: expected above 0"):
        Speeds(*speeds)
