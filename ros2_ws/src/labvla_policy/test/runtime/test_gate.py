"""Every rule of the gate: what it lets through, what it refuses, and the name it gives."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runtime_support import MS, T0, at_rest, cell_of, plan_of, posture

from labvla_policy.runtime.gate.gate import Gate
from labvla_policy.runtime.gate.rules import Situation
from labvla_policy.runtime.mover.profile import fastest

CELLS = ("franka", "ur5e", "dual_arm", "dual_franka")
GATES = {name: Gate(cell_of(name)) for name in CELLS}
FRANKA = cell_of("franka")
DT = 1 / 30
ROW = round(1e9 / 30)


def smooth(cell, offset, rows=50):
    """A gentle plan from ready: `offset` further at its end."""
    course = fastest(1.0, 1.2, 20.0)  # 1.9 s, of which 50 rows see most
    s = course.at(np.arange(rows) * DT)[:, np.newaxis]
    return plan_of(cell, posture(cell) + s * np.asarray(offset))


def check(plan, cell=FRANKA, now=None):
    return GATES[cell.name].check(plan, now or at_rest(cell))


def refused(plan, cell=FRANKA, now=None):
    verdict = check(plan, cell, now)
    assert verdict.plan is None
    assert not verdict.accepted
    return verdict.refusal


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("step", [-0.2, 0.2])
def test_gentle_plans_pass_as_they_are(name, step):
    cell = cell_of(name)
    offset = np.zeros(len(cell.joints))
    offset[0] = step
    plan = smooth(cell, offset)
    verdict = check(plan, cell)
    assert verdict.refusal is None
    assert verdict.scale == 1.0
    np.testing.assert_array_equal(verdict.plan.joint_targets, plan.joint_targets)


def test_joints_in_any_order_come_out_in_the_cells():
    plan = smooth(FRANKA, [0.2, 0, 0, 0, 0, 0, 0])
    order = [3, 0, 6, 1, 5, 2, 4]
    shuffled = replace(
        plan,
        joint_names=tuple(plan.joint_names[i] for i in order),
        joint_targets=plan.joint_targets[:, order],
    )
    verdict = check(shuffled)
    assert verdict.plan.joint_names == FRANKA.joints
    np.testing.assert_array_equal(verdict.plan.joint_targets, plan.joint_targets)


PLAN = smooth(FRANKA, [0.2, 0, 0, 0, 0, 0, 0])


@pytest.mark.parametrize(
    ("change", "reason", "subject"),
    [
        ({"joint_names": FRANKA.joints[:6]}, "target_names", "fr3_joint7"),
        ({"joint_names": (*FRANKA.joints[:6], "joint7")}, "target_names", "fr3_joint7"),
        ({"joint_names": (*FRANKA.joints[:6], "fr3_joint1")}, "target_names", "fr3_joint7"),
        ({"joint_names": (*FRANKA.joints, "fr3_joint1")}, "target_names", "fr3_joint1"),
        ({"gripper_names": ("other",)}, "target_names", "other"),
        ({"gripper_names": ("arm_gripper",) * 2}, "target_names", "arm_gripper"),
        ({"joint_targets": PLAN.joint_targets[:, :6]}, "target_shape", ""),
        ({"joint_targets": PLAN.joint_targets[:0]}, "target_shape", ""),
        ({"joint_targets": PLAN.joint_targets.repeat(21, 0)}, "target_shape", ""),
        ({"gripper_targets": PLAN.gripper_targets[:49]}, "target_shape", ""),
        ({"dt": 0.0}, "row_time", ""),
        ({"dt": np.nan}, "row_time", ""),
        ({"dt": -DT}, "row_time", ""),
        ({"dt": 1e300}, "row_time", ""),
    ],
)
def test_plans_that_are_no_plans(change, reason, subject):
    refusal = refused(replace(PLAN, **change))
    assert (refusal.source, refusal.reason, refusal.subject) == ("gate", reason, subject)


def test_grippers_may_be_left_out():
    plan = replace(PLAN, gripper_names=(), gripper_targets=np.empty((50, 0)))
    assert check(plan).accepted


@pytest.mark.parametrize("rate", [10, 60])
def test_another_row_rate_is_another_motion(rate):
    plan = replace(PLAN, dt=1 / rate)
    assert refused(plan, now=at_rest(FRANKA, row_time=DT)).reason == "row_time"
    assert check(PLAN, now=at_rest(FRANKA, row_time=DT)).accepted


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("row", [0, 31, 49])
def test_numbers_that_are_none(bad, row):
    targets = PLAN.joint_targets.copy()
    targets[row, 3] = bad
    refusal = refused(replace(PLAN, joint_targets=targets))
    assert (refusal.reason, refusal.subject, refusal.row) == (
        "target_not_finite",
        "fr3_joint4",
        row,
    )
    openings = PLAN.gripper_targets.copy()
    openings[row] = bad
    refusal = refused(replace(PLAN, gripper_targets=openings))
    assert (refusal.reason, refusal.subject) == ("target_not_finite", "arm_gripper")


@pytest.mark.parametrize("jump", [-10_000 * MS, -1667 * MS, -1634 * MS])
def test_a_past_plan(jump):
    refusal = refused(replace(PLAN, plan_start=T0 + jump))
    assert refusal.reason == "no_rows_left"
    assert check(replace(PLAN, plan_start=T0 - 100 * MS)).accepted


@pytest.mark.parametrize("jump", [10_000 * MS, 1001 * MS])
def test_a_plan_of_another_clock(jump):
    refusal = refused(replace(PLAN, plan_start=T0 + jump))
    assert (refusal.reason, refusal.value) == ("plan_ahead", jump / 1e9)
    assert check(replace(PLAN, plan_start=T0 + 999 * MS)).accepted


# --- telltale answers


@pytest.mark.parametrize("name", CELLS)
def test_zeros_of_a_server_that_hides_its_errors(name):
    cell = cell_of(name)
    zeros = plan_of(cell, np.zeros((50, len(cell.joints))))
    assert refused(zeros, cell).reason == "zero_targets"


def test_zeros_where_the_arm_is_at_zero_hold_it():
    cell = cell_of("ur5e")
    wide = replace(cell.arms[0].operating_limits, position_upper=(3.0,) * 6)
    large = replace(cell.workspace.tool, lower=(-2.0,) * 3, upper=(2.0,) * 3)
    cell = replace(
        cell,
        arms=(replace(cell.arms[0], operating_limits=wide),),
        workspace=replace(cell.workspace, tool=large, keep_out=()),
    )
    plan = plan_of(cell, np.zeros((50, 6)))
    assert Gate(cell).check(plan, at_rest(cell, np.zeros(6))).accepted
    away = at_rest(cell, np.full(6, 0.06))
    assert Gate(cell).check(plan, away).refusal.reason == "zero_targets"


def test_a_constant_plan_is_a_hold_only_where_the_arm_is():
    hold = plan_of(FRANKA, np.tile(posture(FRANKA) + 0.03, (50, 1)))
    assert check(hold).accepted
    away = plan_of(FRANKA, np.tile(posture(FRANKA) + 0.06, (50, 1)))
    refusal = refused(away)
    assert refusal.reason == "constant_targets"
    assert refusal.value == pytest.approx(0.06)


def test_one_row_is_a_target_and_no_constant():
    row = posture(FRANKA)[np.newaxis] + 0.06
    assert check(plan_of(FRANKA, row)).accepted
    assert refused(plan_of(FRANKA, np.zeros((1, 7)))).reason == "zero_targets"


def test_the_same_answer_twice():
    later = replace(PLAN, plan_start=PLAN.plan_start + 5 * ROW)
    refusal = refused(later, now=at_rest(FRANKA, previous=PLAN))
    assert refusal.reason == "repeated_prediction"
    hold = plan_of(FRANKA, np.tile(posture(FRANKA), (50, 1)))
    again = replace(hold, plan_start=T0 + 5 * ROW)
    assert check(again, now=at_rest(FRANKA, previous=hold)).accepted
    other = replace(PLAN, joint_targets=PLAN.joint_targets + 1e-9)
    assert check(other, now=at_rest(FRANKA, previous=PLAN)).accepted


# --- the beginning


def test_a_plan_from_somewhere_else():
    now = at_rest(FRANKA, posture(FRANKA) - np.eye(7)[2] * 0.16)
    refusal = refused(PLAN, now=now)
    assert (refusal.reason, refusal.subject, refusal.row) == ("first_row_jump", "fr3_joint3", 0)
    assert refusal.value == pytest.approx(0.16)
    near = at_rest(FRANKA, posture(FRANKA) - np.eye(7)[2] * 0.14)
    assert check(PLAN, now=near).accepted


def test_what_counts_is_the_first_row_that_is_still_ahead():
    targets = PLAN.joint_targets.copy()
    targets[:10] += 1.0  # past, and never executed
    plan = replace(PLAN, joint_targets=targets, plan_start=T0 - 10 * ROW)
    assert check(plan).accepted
    refusal = refused(replace(plan, plan_start=T0 - 9 * ROW + 100))
    assert (refusal.reason, refusal.row) == ("first_row_jump", 9)


def test_a_row_far_ahead_may_be_further_away():
    plan = replace(PLAN, joint_targets=PLAN.joint_targets + np.eye(7)[0] * 0.3)
    assert refused(plan).reason == "first_row_jump"
    assert check(replace(plan, plan_start=T0 + 250 * MS)).accepted


# --- limits


@pytest.mark.parametrize(("sign", "bound"), [(1, "most"), (-1, "least")])
def test_rows_outside_of_the_operating_range(sign, bound):
    limits = FRANKA.arms[0].operating_limits
    edge = limits.position_upper[6] if sign > 0 else limits.position_lower[6]
    start = posture(FRANKA).copy()
    start[6] = edge - sign * 0.05
    targets = np.tile(start, (50, 1))
    targets[:, 6] += sign * np.linspace(0, 0.07, 50)
    refusal = refused(plan_of(FRANKA, targets), now=at_rest(FRANKA, start))
    assert (refusal.reason, refusal.subject, refusal.limit) == (
        "position_limit",
        "fr3_joint7",
        edge,
    )
    assert bound in refusal.detail
    assert targets[refusal.row - 1, 6] * sign <= edge * sign + 0.01 < refusal.value * sign
    targets[:, 6] = start[6] + sign * np.linspace(0, 0.055, 50)  # grazes it: the controller clamps
    assert check(plan_of(FRANKA, targets), now=at_rest(FRANKA, start)).accepted


def ramp(speed, rows=50):
    """Joint 1 at constant speed: no acceleration for the rule to see."""
    targets = np.tile(posture(FRANKA), (rows, 1))
    targets[:, 0] += speed * DT * np.arange(rows) - 0.4
    now = Situation(T0, targets[0], np.array([speed, 0, 0, 0, 0, 0, 0]))
    return plan_of(FRANKA, targets, start=T0), now


def test_fast_plans_are_slowed_down():
    plan, now = ramp(1.0, rows=25)
    verdict = check(plan, now=now)
    assert verdict.refusal.reason == "slowed_down"
    assert verdict.refusal.subject == "fr3_joint1"
    assert verdict.scale == pytest.approx(0.78)
    assert verdict.plan.dt == pytest.approx(DT / 0.78)
    speeds = np.abs(np.diff(verdict.plan.joint_targets[:, 0])) / verdict.plan.dt
    assert speeds.max() == pytest.approx(0.78)
    assert check(verdict.plan, now=now).refusal is None


def test_hopelessly_fast_plans_are_refused():
    plan, now = ramp(2.2, rows=12)
    refusal = refused(plan, now=now)
    assert (refusal.reason, refusal.subject) == ("velocity_limit", "fr3_joint1")
    assert (refusal.value, refusal.limit) == (pytest.approx(2.2), 0.78)


def swing(acceleration, rows=25):
    """Joint 1 brakes from 0.6 rad/s and returns, at constant acceleration."""
    seconds = DT * np.arange(rows)
    targets = np.tile(posture(FRANKA), (rows, 1))
    targets[:, 0] += 0.6 * seconds - acceleration / 2 * seconds**2
    keep = np.abs(0.6 - acceleration * seconds) <= 0.7
    return plan_of(FRANKA, targets[keep])


def test_abrupt_plans_are_slowed_down_by_the_root():
    verdict = check(swing(5.0))
    assert verdict.refusal.reason == "slowed_down"
    assert verdict.scale == pytest.approx(np.sqrt(2.5 / 5.0), rel=1e-6)
    assert "rad/s²" in verdict.refusal.detail
    assert check(swing(2.4)).refusal is None


def test_the_slower_of_both_decides():
    plan, now = ramp(1.3, rows=20)
    targets = plan.joint_targets.copy()
    seconds = DT * np.arange(20)
    targets[:, 1] += 0.4 * seconds - 1.2 * seconds**2  # 2.4 of 2.0 rad/s²: 91 %
    verdict = check(replace(plan, joint_targets=targets), now=now)
    assert verdict.scale == pytest.approx(0.78 / 1.3)
    assert "rad/s," in verdict.refusal.detail


def test_hopelessly_abrupt_plans_are_refused():
    """Joint 5 shakes five times a second, within its range and at less than its speed."""
    targets = np.tile(posture(FRANKA), (50, 1))
    targets[:, 4] += 0.05 * np.sin(2 * np.pi * 5 * DT * np.arange(50))
    refusal = refused(plan_of(FRANKA, targets))
    assert (refusal.reason, refusal.subject) == ("acceleration_limit", "fr3_joint5")
    assert refusal.value > 2.5 / 0.4**2


def test_a_policys_noise_is_not_taken_for_acceleration():
    noise = np.random.default_rng(0).uniform(-5e-4, 5e-4, (50, 7))
    plan = replace(PLAN, joint_targets=PLAN.joint_targets + noise)
    assert np.abs(np.diff(noise, 2, axis=0)).max() / DT**2 > 1.4  # rad/s², row by row
    assert check(plan).refusal is None


# --- space


def way_to(cell, goal, rows=400):
    """Slow enough for every limit."""
    start = posture(cell)
    s = np.linspace(0, 1, rows)[:, np.newaxis]
    return plan_of(cell, start + s * (np.asarray(goal) - start))


def test_the_tool_stays_in_its_box():
    goal = posture(FRANKA).copy()
    goal[0] = 1.2  # swings out to the left
    refusal = refused(way_to(FRANKA, goal))
    assert (refusal.reason, refusal.subject) == ("workspace", "arm")
    assert 0 < refusal.value < 0.005


def test_the_hand_stays_out_of_the_bench():
    goal = posture(FRANKA) + np.array([0, 0.9, 0, 0, 0, 0.9, 0])
    refusal = refused(way_to(FRANKA, goal))
    assert refusal.reason == "keep_out"
    assert refusal.subject == "arm.fingers|bench_top"


def test_arms_stay_apart():
    cell = cell_of("dual_arm")
    goal = posture(cell).copy()
    goal[0], goal[6] = -1.2, 1.2
    refusal = refused(way_to(cell, goal), cell)
    assert refusal.reason == "arm_collision"
    left, right = refusal.subject.split("|")
    assert left.startswith("left.")
    assert right.startswith("right.")


def test_the_way_to_the_first_row_counts_too():
    """The first row is free, and so is the arm; the sheet stands between them."""
    cell = FRANKA
    sheet = replace(
        cell.workspace.keep_out[0], name="sheet", lower=(0.3, -0.001, 0.0), upper=(0.9, 0.001, 1.0)
    )
    cell = replace(cell, workspace=replace(cell.workspace, keep_out=(sheet,)))
    aside = posture(cell) + np.eye(7)[0] * 0.25
    plan = plan_of(cell, np.tile(aside - np.eye(7)[0] * 0.5, (50, 1)))
    targets = plan.joint_targets + np.linspace(0, 0.01, 50)[:, np.newaxis]
    plan = replace(plan, joint_targets=targets, plan_start=T0 + 700 * MS)
    refusal = Gate(cell).check(plan, at_rest(cell, aside)).refusal
    assert (refusal.reason, refusal.row) == ("keep_out", 0)


def test_a_way_back_into_the_bounds_is_open_to_whoever_returns():
    outside = posture(FRANKA).copy()
    outside[0] = 1.2
    back = way_to(FRANKA, outside).joint_targets[::-1]
    gate = GATES["franka"]
    now = at_rest(FRANKA, outside)
    assert gate.check_path(back, now).reason == "workspace"
    assert gate.check_path(back, replace(now, returning=True)) is None
    further = np.tile(outside, (30, 1))
    further[:, 0] += np.linspace(0, 0.1, 30)
    assert gate.check_path(further, replace(now, returning=True)).reason == "workspace"


@settings(deadline=None, max_examples=100)
@given(seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([1e-3, 1e-2, 0.1, 1.0, 1e3, 1e300]))
def test_whatever_passes_obeys_the_rules(seed, scale):
    """Random walks: what comes out is refused by name, or inside of everything promised."""
    source = np.random.default_rng(seed)
    with np.errstate(over="ignore", invalid="ignore"):
        walk = np.cumsum(np.cumsum(source.normal(0, scale * 0.01, (50, 7)), axis=0), axis=0)
    plan = plan_of(FRANKA, posture(FRANKA) + walk)
    verdict = check(plan)
    if verdict.plan is None:
        assert verdict.refusal.source == "gate"
        return
    limits = FRANKA.arms[0].operating_limits
    q = verdict.plan.joint_targets
    assert np.all(q <= np.array(limits.position_upper) + 0.0101)
    assert np.all(q >= np.array(limits.position_lower) - 0.0101)
    speed = np.abs(np.diff(q, axis=0)) / verdict.plan.dt
    assert np.all(speed <= 1.051 * np.array(limits.velocity))
    assert verdict.scale >= 0.4
