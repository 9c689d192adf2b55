"""A jog moves the tool where it points, and nothing that fails on the way keeps it moving."""

from dataclasses import replace

import numpy as np
import pytest
from jogging_hand import Hand
from runtime_support import T0, cell_of, refusal_of

from labvla_policy.runtime.arbiter import Owner
from labvla_policy.runtime.gate.gate import Gate
from labvla_policy.runtime.gate.rules import Limits
from labvla_policy.runtime.refusal import Refusal
from labvla_policy.runtime.teleop.jog import read_jog, read_openings
from labvla_policy.runtime.teleop.session import Outcome, Session

STANDING = 1e-3


STOP = (0.0,) * 6


@pytest.mark.parametrize("name", ["franka", "ur5e"])
@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("frame", ["base", "tool"])
def test_the_tool_goes_along_the_axis_and_keeps_its_turn(name, axis, frame):
    hand = Hand(name)
    before = hand.tool
    twist = np.zeros(6)
    twist[axis] = -0.04
    hand.run(1.0, *twist, frame=frame).run(1.0, *STOP)
    direction = -np.eye(3)[axis] if frame == "base" else -before[:3, axis]
    way = hand.tool[:3, 3] - before[:3, 3]
    along = float(way @ direction)
    assert 0.03 < along < 0.045
    assert np.linalg.norm(way - along * direction) < 0.003
    assert np.arccos((np.trace(before[:3, :3].T @ hand.tool[:3, :3]) - 1) / 2 - 1e-12) < 0.02
    assert hand.robot.speed < STANDING
    assert not hand.notes


def test_a_turn_turns_about_the_point_between_the_fingers():
    hand = Hand()
    before = hand.tool
    hand.run(1.0, 0, 0, 0, 0, 0, 0.3, frame="tool").run(1.0, *STOP)
    assert np.linalg.norm(hand.tool[:3, 3] - before[:3, 3]) < 0.003
    turned = before[:3, :3].T @ hand.tool[:3, :3]
    assert 0.2 < np.arctan2(turned[1, 0], turned[0, 0]) < 0.35


def test_the_operating_limits_hold_while_the_stick_is_thrown_about():
    hand = Hand()
    limits = Limits.of_cell(hand.cell)
    rng = np.random.default_rng(1)
    for _ in range(25):
        direction = rng.normal(size=6)
        hand.run(0.3, *(direction / np.linalg.norm(direction) * 0.2))
    speeds = np.diff(np.array(hand.robot.positions), axis=0) * hand.cell.controller.rate
    assert np.all(np.abs(speeds) <= limits.velocity * (1 + 1e-6))
    accelerations = np.diff(speeds, axis=0) * hand.cell.controller.rate
    assert np.all(np.abs(accelerations) <= limits.acceleration * 1.02)
    assert np.abs(speeds).max() > 0.1  # it did move


def test_a_device_that_falls_silent_stops_the_arm_smoothly_and_says_so():
    hand = Hand()
    hand.run(1.0, 0.05, 0, 0, 0, 0, 0)
    assert hand.robot.speed > 0.05
    hand.run(0.9)
    assert hand.robot.speed < STANDING
    assert hand.reasons("silent") == {"jog_silent"}
    assert sum(kind == "silent" for kind, _ in hand.notes) == 1
    hand.run(1.5)
    assert hand.ended.outcome is Outcome.GONE
    assert hand.arbiter.owner(hand.robot.t) is None


def test_a_process_that_dies_leaves_a_plan_that_stops_by_itself():
    hand = Hand()
    hand.run(1.0, 0.05, 0, 0, 0, 0, 0)
    hand.robot.advance(900)  # nobody steps the session
    assert hand.robot.speed < STANDING
    # It stands where the last plan ends: the stop was part of what the gate has checked.
    assert np.abs(hand.robot.positions[-1] - hand.plans[-1].joint_targets[-1]).max() < 2e-3


def test_the_box_is_approached_and_never_left():
    hand = Hand()
    floor = hand.cell.workspace.tool.lower[2]
    hand.run(8.0, 0, 0, -0.1, 0, 0, 0)
    lowest = min(hand.servo.tool(q)[2, 3] for q in hand.robot.positions[::50])
    assert floor - 1e-3 <= lowest < floor + 0.05
    assert hand.robot.speed < STANDING
    # The bench itself is a keep-out box that reaches higher than the tool's box.
    assert "keep_out" in hand.reasons("refused") | hand.reasons("limited")
    hand.run(1.0, 0, 0, 0.05, 0, 0, 0)  # and back
    assert hand.tool[2, 3] > floor + 0.02


def test_what_the_arm_itself_cannot_do_is_told():
    hand = Hand()
    hand.run(6.0, 0, 0, 0, 0, 0, 1.0, frame="tool")
    assert "jog_limited" in hand.reasons("limited")
    joints = [note.subject for _, note in hand.notes]
    assert set(joints) <= set(hand.cell.joints)


def test_the_other_arm_stays():
    hand = Hand("dual_arm")
    hand.run(1.0, 0, 0, 0.05, 0, 0, 0, arm=1).run(0.6, *STOP)
    first = len(hand.cell.arms[0].joints)
    moved = np.abs(hand.robot.positions[-1] - hand.robot.positions[0])
    assert moved[:first].max() < 1e-6
    assert moved[first:].max() > 0.01


def test_a_gripper_opens_without_any_motion_of_the_arm():
    hand = Hand()
    name = hand.cell.arms[0].gripper_name
    hand.openings = {name: 0.05}
    hand.run(0.3, *STOP)
    assert len(hand.plans) == 1  # once is enough
    assert hand.plans[0].gripper_names == (name,)
    assert np.all(hand.plans[0].gripper_targets == 0.05)
    assert hand.robot.speed < STANDING
    assert not hand.notes


def test_a_moving_arm_is_taken_over_without_a_jump():
    hand = Hand()
    hand.run(1.0, 0, 0.1, 0, 0, 0, 0)
    lease = hand.arbiter.request(Owner.TELEOP, hand.robot.t)  # the next person, in full motion
    hand.session = Session(hand.cell, Gate(hand.cell), hand.arbiter, lease)
    hand.robot.advance(20)
    assert hand.robot.speed > 0.1
    begin = len(hand.robot.positions) - 2
    hand.run(0.6, 0, -0.1, 0, 0, 0, 0)
    rate = hand.cell.controller.rate
    accelerations = np.diff(np.array(hand.robot.positions[begin:]), 2, axis=0) * rate**2
    assert np.all(np.abs(accelerations) <= Limits.of_cell(hand.cell).acceleration * 1.02)
    assert (
        hand.servo.tool(hand.robot.positions[-1])[1, 3]
        < hand.servo.tool(hand.robot.positions[begin])[1, 3]
    )


def test_who_takes_over_without_moving_stops_the_arm():
    hand = Hand()
    hand.run(1.0, 0, 0.1, 0, 0, 0, 0)
    long = replace(hand.plans[-1], dt=0.2)  # what a policy sent: it would go on for seconds
    hand.robot.take(replace(long, plan_start=hand.robot.t))
    lease = hand.arbiter.request(Owner.TELEOP, hand.robot.t)
    hand.session = Session(hand.cell, Gate(hand.cell), hand.arbiter, lease)
    hand.jog, hand.plans = None, []
    hand.run(0.5)
    assert len(hand.plans) == 1
    assert hand.robot.speed < STANDING
    assert not hand.notes


def test_it_is_handed_back_when_the_arms_stand():
    hand = Hand()
    hand.run(1.0, 0.05, 0, 0, 0, 0, 0)
    hand.hand_back = True
    hand.run(3.0, 0.05, 0, 0, 0, 0, 0)  # whoever hands back and keeps pushing moves nothing
    assert hand.ended.outcome is Outcome.HANDED_BACK
    assert hand.robot.speed < STANDING
    assert hand.arbiter.owner(hand.robot.t) is None


def test_a_stop_ends_it_by_name():
    hand = Hand()
    hand.run(0.5, 0.05, 0, 0, 0, 0, 0)
    hand.arbiter.stop()
    hand.run(0.1, 0.05, 0, 0, 0, 0, 0)
    assert (hand.ended.outcome, hand.ended.refusal.reason) == (Outcome.FAILED, "stopped")


def test_a_silent_controller_ends_it_by_name():
    hand = Hand()
    hand.run(0.5, 0.05, 0, 0, 0, 0, 0)
    hand.robot.silent = True
    hand.run(2.5, 0.05, 0, 0, 0, 0, 0)
    assert (hand.ended.outcome, hand.ended.refusal.reason) == (
        Outcome.FAILED,
        "controller_silent",
    )


@pytest.mark.parametrize(
    ("frame", "twist", "reason"),
    [
        ("flange", STOP, "jog_frame"),
        ("", STOP, "jog_frame"),
        ("other/tool", STOP, "jog_frame"),
        ("tool", (np.nan, 0, 0, 0, 0, 0), "jog_not_finite"),
        ("tool", (0, 0, np.inf, 0, 0, 0), "jog_not_finite"),
        ("base", (100.0, 0, 0, 0, 0, 0), "jog_speed"),
        ("arm/base", (0, 0, 0, 57.0, 0, 0), "jog_speed"),
    ],
)
def test_bad_jogs_are_refused_by_name(frame, twist, reason):
    assert refusal_of(lambda: read_jog(cell_of("franka"), frame, twist, T0)).reason == reason


def test_in_a_cell_of_two_arms_a_jog_says_which():
    cell = cell_of("dual_arm")
    refusal = refusal_of(lambda: read_jog(cell, "tool", STOP, T0))
    assert refusal.reason == "jog_frame"
    assert f"{cell.arms[1].name}/tool" in refusal.detail
    assert read_jog(cell, f"{cell.arms[1].name}/tool", STOP, T0).arm == 1


@pytest.mark.parametrize(
    ("names", "targets"),
    [
        (["arm_gripper"], [0.5]),
        (["arm_gripper"], [-0.01]),
        (["arm_gripper"], [np.nan]),
        (["arm_gripper"], []),
        (["thumb"], [0.01]),
        ([], []),
    ],
)
def test_bad_openings_are_refused_by_name(names, targets):
    refusal = refusal_of(lambda: read_openings(cell_of("franka"), names, targets))
    assert isinstance(refusal, Refusal)
    assert refusal.reason == "jog_gripper"
