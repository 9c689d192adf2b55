"""Arithmetic on plans."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from runtime_support import MS, T0, cell_of, plan_of

from labvla_policy.runtime import plans
from labvla_policy.runtime.reference import Reference

CELL = cell_of("franka")
DT = 1 / 30


def ramp(rows=50, start=T0, slope=1.0, first=0.0):
    """Joint 1 at `first` + slope x seconds since T0; the gripper closes at row 10."""
    times = (start - T0) / 1e9 + np.arange(rows) * DT
    targets = np.zeros((rows, 7))
    targets[:, 0] = first + slope * times
    openings = np.where(np.arange(rows) < 10, 0.08, 0.0)[:, np.newaxis]
    return plan_of(CELL, targets, start, openings=openings)


@given(st.integers(-100 * MS, 3000 * MS))
def test_rows_past(offset):
    plan = ramp()
    assert plans.rows_past(plan, T0 + offset) == int(np.sum(plan.times < T0 + offset))


@given(st.integers(0, 49))
def test_resampling_at_a_rows_own_time_returns_the_row(row):
    plan = ramp()
    joints, grippers = plans.resampled(plan, plan.times[row : row + 1])
    np.testing.assert_allclose(joints[0], plan.joint_targets[row], atol=1e-7)
    assert grippers[0] == plan.gripper_targets[row]


@given(st.integers(-500 * MS, 2500 * MS))
def test_resampling_interpolates_joints_and_holds_grippers(offset):
    plan = ramp()
    joints, grippers = plans.resampled(plan, np.array([T0 + offset]))
    expected = np.clip(offset / 1e9, 0, 49 * DT)
    assert joints[0, 0] == pytest.approx(expected, abs=1e-7)
    assert grippers[0, 0] in (0.0, 0.08)


@given(scale=st.floats(0.1, 1.0), t=st.integers(-500 * MS, 2500 * MS))
def test_slowing_down_stretches_time_about_the_hand_over(scale, t):
    plan = ramp()
    slow = plans.slowed(plan, scale, T0 + t)
    expected = T0 + t + (plan.times - (T0 + t)) / scale
    np.testing.assert_allclose(slow.times.astype(float), expected, atol=600)  # ns in 1e18
    np.testing.assert_array_equal(slow.joint_targets, plan.joint_targets)
    assert plans.rows_past(slow, T0 + t) == plans.rows_past(plan, T0 + t)


def test_from_row():
    plan = ramp()
    rest = plans.from_row(plan, 20)
    assert np.abs(rest.times - plan.times[20:]).max() <= 1  # ns
    np.testing.assert_array_equal(rest.joint_targets, plan.joint_targets[20:])


def test_brought_to_rest_slows_down_along_the_rows_that_follow():
    plan = ramp(slope=0.6)
    ended = plans.brought_to_rest(plan, 20)
    np.testing.assert_array_equal(ended.joint_targets[:20], plan.joint_targets[:20])
    steps = np.diff(ended.joint_targets[19:, 0]) / DT
    assert (np.diff(steps) < 0).all()
    assert 0.5 < steps[0] < 0.6
    assert 0.0 < steps[-1] < 0.03
    assert ended.joint_targets[-1, 0] < plan.joint_targets[19 + plans.SLOWING // 2, 0] + 1e-9
    assert ended.plan_start == plan.plan_start


@pytest.mark.parametrize("rows", [45, 49])
def test_brought_to_rest_holds_the_last_row_where_too_few_follow(rows):
    plan = ramp()
    ended = plans.brought_to_rest(plan, rows)
    np.testing.assert_array_equal(ended.joint_targets[:rows], plan.joint_targets[:rows])
    np.testing.assert_allclose(ended.joint_targets[-3:], plan.joint_targets[[-1] * 3], atol=1e-12)


@pytest.mark.parametrize("rows", [50, 80])
def test_a_plan_that_is_executed_as_a_whole_is_left_alone(rows):
    plan = ramp()
    assert plans.brought_to_rest(plan, rows) is plan


def test_committed_prefix_is_what_the_plan_does_then():
    plan = ramp()
    prefix = plans.committed_prefix(plan, T0 + 100 * MS, DT, rows=6, frozen=4)
    np.testing.assert_allclose(prefix.joint_targets[:, 0], 0.1 + DT * np.arange(6), atol=1e-6)
    assert prefix.rows == 6
    assert prefix.frozen == 4
    assert (prefix.joint_names, prefix.gripper_names) == (plan.joint_names, plan.gripper_names)


def test_committed_prefix_ends_with_the_plan():
    plan = ramp()
    prefix = plans.committed_prefix(plan, int(plan.times[47]), DT, rows=20, frozen=8)
    assert (prefix.rows, prefix.frozen) == (3, 3)
    assert plans.committed_prefix(plan, plan.end + MS, DT, rows=20, frozen=8) is None


def test_committed_prefix_prefers_the_controllers_reference():
    """In mid-splice the arm is off its plan: the past is as it was, and the rest fades."""
    plan = ramp()
    stamps = T0 + np.arange(0, 301, 20) * MS
    executed = [
        Reference(int(t), plans.resampled(plan, np.array([t]))[0][0] + 0.05, np.zeros(7), 0)
        for t in stamps
    ]
    start = T0 + 200 * MS
    prefix = plans.committed_prefix(plan, start, DT, rows=15, frozen=6, executed=executed)
    plain = plans.committed_prefix(plan, start, DT, rows=15, frozen=6)
    off = prefix.joint_targets - plain.joint_targets
    np.testing.assert_allclose(off[:4], 0.05, atol=1e-9)  # 200 to 300 ms: recorded
    assert np.all(np.diff(off[3:, 0]) <= 0)
    after = start + np.arange(15) * DT * 1e9 >= T0 + 300 * MS + plans.REJOIN * 1e9
    np.testing.assert_allclose(off[after], 0.0, atol=1e-9)
    np.testing.assert_array_equal(prefix.gripper_targets, plain.gripper_targets)


def test_ensemble_averages_joints_by_time_and_leaves_grippers_alone():
    old, new = ramp(first=0.0), ramp(start=T0 + 500 * MS, first=0.3)
    merged = plans.ensemble([old, new], decay=0.0)
    covered = new.times <= old.end
    difference = merged.joint_targets[:, 0] - new.joint_targets[:, 0]
    np.testing.assert_allclose(difference[covered], -0.15, atol=1e-6)
    np.testing.assert_allclose(difference[~covered], 0.0)
    np.testing.assert_array_equal(merged.gripper_targets, new.gripper_targets)
    np.testing.assert_array_equal(merged.times, new.times)


@given(decay=st.floats(-2, 2))
def test_ensemble_weights_are_exponential(decay):
    parts = [ramp(first=value) for value in (1.0, 2.0, 4.0)]
    merged = plans.ensemble(parts, decay)
    weights = np.exp(-decay * np.array([2, 1, 0]))
    expected = weights @ [1.0, 2.0, 4.0] / weights.sum()
    assert merged.joint_targets[0, 0] == pytest.approx(expected)


def test_agreement_is_left_as_it_is():
    parts = [ramp(start=T0 + n * 200 * MS) for n in range(4)]
    merged = plans.ensemble(parts, 0.1)
    np.testing.assert_allclose(merged.joint_targets, parts[-1].joint_targets, atol=1e-6)
