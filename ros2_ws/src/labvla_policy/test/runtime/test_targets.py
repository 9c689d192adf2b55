"""Rows become absolute targets exactly once, whatever space they are in."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from runtime_support import T0, cell_of, posture, refusal_of

from labvla_policy.runtime import grippers
from labvla_policy.runtime.targets import absolute_targets, rows_of_prefix, rows_of_reply
from labvla_policy.runtime.types import Observation, Prefix

ROWS = 50
DT_NS = round(1e9 / 30)


def contract(cell, **changes):
    return replace(cell, policy=replace(cell.policy, **changes))


def observe(cell, reference=None):
    return Observation(T0, cell.joints, posture(cell), "stir", reference=reference)


def rows_for(cell, joints=0.0, gripper=None):
    rows = np.zeros((ROWS, cell.policy.columns.width))
    names = cell.column_names
    rows[:, [c for c, n in enumerate(names) if n in cell.joints]] = joints
    units = {"finger_width": 0.02, "open_fraction": 0.5}
    for arm, columns in zip(cell.arms, cell.policy.columns.arms, strict=True):
        rows[:, columns.gripper] = units[arm.gripper.policy_unit] if gripper is None else gripper
    return rows


def convert(cell, rows, space=None, reference=None):
    return absolute_targets(rows, observe(cell, reference), cell, space or cell.policy.action_space)


@pytest.mark.parametrize("name", ["franka", "ur5e", "dual_arm", "dual_franka"])
def test_a_delta_is_added_to_the_observation_once_and_never_cumulated(name):
    cell = cell_of(name)
    deltas = np.random.default_rng(0).uniform(-0.1, 0.1, (ROWS, len(cell.joints)))
    plan = convert(cell, rows_for(cell, deltas))
    np.testing.assert_allclose(plan.joint_targets, posture(cell) + deltas)
    assert plan.joint_names == cell.joints


def test_restored_by_the_far_end_means_nothing_is_added():
    cell = cell_of("franka")
    plan = convert(cell, rows_for(cell, posture(cell) + 0.1), space="absolute")
    np.testing.assert_allclose(plan.joint_targets, np.tile(posture(cell) + 0.1, (ROWS, 1)))


def test_the_reference_is_the_anchor_where_the_contract_says_so():
    cell = contract(cell_of("franka"), anchor="reference")
    reference = posture(cell) + 0.05
    plan = convert(cell, rows_for(cell, 0.01), reference=reference)
    np.testing.assert_allclose(plan.joint_targets[0], reference + 0.01)
    assert refusal_of(lambda: convert(cell, rows_for(cell))).reason == "reference_missing"


@pytest.mark.parametrize(("offset", "first"), [(0, 0.0), (1, 1.0)])
def test_velocities_are_integrated_to_the_time_of_each_row(offset, first):
    cell = contract(cell_of("franka"), row_offset=offset, action_space="velocity")
    plan = convert(cell, rows_for(cell, 0.3))
    travelled = plan.joint_targets - posture(cell)
    expected = 0.3 / 30 * (first + np.arange(ROWS))
    np.testing.assert_allclose(travelled, expected[:, np.newaxis].repeat(7, 1), atol=1e-12)
    # whatever the offset, the arm is in the same place at the same time
    seconds = (plan.times - T0) / 1e9
    np.testing.assert_allclose(travelled[:, 0], 0.3 * seconds, atol=1e-8)


@pytest.mark.parametrize("offset", [0, 1])
def test_row_times(offset):
    cell = contract(cell_of("franka"), row_offset=offset)
    plan = convert(cell, rows_for(cell))
    assert plan.plan_start == T0 + offset * DT_NS
    assert plan.dt == pytest.approx(1 / 30)


@pytest.mark.parametrize("width", [7, 9, 14, 32])
def test_no_column_is_cut_off_or_filled_in(width):
    cell = cell_of("franka")
    refusal = refusal_of(lambda: convert(cell, np.zeros((ROWS, width))))
    assert (refusal.reason, refusal.value, refusal.limit) == ("prediction_width", width, 8)


def test_a_column_without_a_joint_stays_unused():
    cell = cell_of("ur5e")
    rows = rows_for(cell)
    rows[:, 6] = 0.01  # noise about the zeros it was trained on
    assert convert(cell, rows).joint_targets.shape == (ROWS, 6)
    rows[3, 6] = 0.8  # a seven-joint policy
    refusal = refusal_of(lambda: convert(cell, rows))
    assert (refusal.reason, refusal.subject, refusal.row) == ("unused_column", "column 6", 3)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none(bad):
    cell = cell_of("franka")
    rows = rows_for(cell)
    rows[7, 2] = bad
    refusal = refusal_of(lambda: convert(cell, rows))
    assert (refusal.reason, refusal.subject, refusal.row) == (
        "prediction_not_finite",
        "fr3_joint3",
        7,
    )


@pytest.mark.parametrize("shape", [(0, 8), (8,), (2, 50, 8)])
def test_shapes_that_are_none(shape):
    cell = cell_of("franka")
    assert refusal_of(lambda: convert(cell, np.zeros(shape))).reason == "prediction_shape"


def test_gripper_columns_are_absolute_even_among_deltas():
    cell = cell_of("franka")
    plan = convert(cell, rows_for(cell, 0.1, gripper=0.03))
    np.testing.assert_allclose(plan.gripper_targets, 0.06)
    assert plan.gripper_names == ("arm_gripper",)


@pytest.mark.parametrize("name", ["franka", "ur5e", "dual_arm", "dual_franka"])
@pytest.mark.parametrize("space", ["absolute", "delta_from_observation", "velocity"])
@pytest.mark.parametrize("offset", [0, 1])
def test_a_prefix_becomes_the_rows_whose_targets_it_is(name, space, offset):
    """Whatever the space, and seen from another posture than the one that it was made for."""
    cell = contract(cell_of(name), row_offset=offset)
    rng = np.random.default_rng(1)
    away = posture(cell) + rng.uniform(-0.1, 0.1, len(cell.joints))
    steps = np.cumsum(rng.uniform(-0.02, 0.02, (12, len(cell.joints))), axis=0)
    if space == "velocity" and offset == 0:
        away, steps = posture(cell), steps - steps[0]  # row 0 is the anchor itself
    strokes = np.array([arm.gripper.stroke for arm in cell.arms])
    prefix = Prefix(
        start=T0 + offset * DT_NS,
        dt=1 / cell.policy.row_rate,
        joint_names=cell.joints[::-1],
        joint_targets=(away + steps)[:, ::-1],
        gripper_names=tuple(arm.gripper_name for arm in cell.arms),
        gripper_targets=rng.uniform(0, 1, (12, len(cell.arms))) * strokes,
        frozen=6,
    )
    rows = rows_of_prefix(prefix, observe(cell), cell, space)
    plan = convert(cell, rows, space)
    kept = 11 if space == "velocity" and offset == 0 else 12
    assert plan.rows == kept
    assert plan.plan_start == prefix.start
    np.testing.assert_allclose(plan.joint_targets, (away + steps)[:kept], atol=1e-12)
    np.testing.assert_allclose(plan.gripper_targets, prefix.gripper_targets[:kept], atol=1e-12)
    unused = [column for column, name in enumerate(cell.column_names) if name is None]
    assert not rows[:, unused].any()


@pytest.mark.parametrize(
    ("unit", "column", "opening"),
    [
        ("finger_width", 0.01, 0.02),
        ("total_width", 0.01, 0.01),
        ("open_fraction", 0.25, 0.02),
        ("closed_fraction", 0.25, 0.06),
    ],
)
def test_gripper_units(unit, column, opening):
    gripper = replace(cell_of("franka").arms[0].gripper, policy_unit=unit)
    np.testing.assert_allclose(grippers.openings_of_column(gripper, [column], "g"), [opening])
    assert grippers.column_of_opening(gripper, opening) == pytest.approx(column)


@pytest.mark.parametrize("name", ["franka", "ur5e"])
@given(part=st.floats(0, 1))
def test_joint_and_column_agree_at_both_ends_and_between(name, part):
    gripper = cell_of(name).arms[0].gripper
    joint = gripper.closed + part * (gripper.open - gripper.closed)
    opening = grippers.opening_of_joint(gripper, joint, "g")
    assert opening == pytest.approx(part * gripper.stroke, abs=1e-12)
    column = grippers.column_of_opening(gripper, opening)
    assert grippers.openings_of_column(gripper, [column], "g")[0] == pytest.approx(opening)


def test_overshoot_is_clipped_and_another_unit_is_refused():
    cell = cell_of("franka")
    assert convert(cell, rows_for(cell, gripper=-0.004)).gripper_targets.min() == 0.0
    assert convert(cell, rows_for(cell, gripper=0.044)).gripper_targets.max() == 0.08
    refusal = refusal_of(lambda: convert(cell, rows_for(cell, gripper=1.0)))  # a fraction
    assert (refusal.reason, refusal.subject) == ("gripper_range", "arm_gripper")
    assert refusal_of(lambda: convert(cell, rows_for(cell, gripper=-0.03))).value < 0


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ({"error": "overload", "detail": "queue", "retry_after_ms": 100}, "error_reply"),
        ({"error": "internal_server_error"}, "error_reply"),
        ("Traceback (most recent call last): ...", "error_reply"),
        (None, "error_reply"),
        ({"policy_timing": {"infer_ms": 3}}, "reply_incomplete"),
        ({}, "reply_incomplete"),
        ({"actions": "none"}, "prediction_shape"),
        ({"actions": np.zeros(8)}, "prediction_shape"),
        ({"actions": np.zeros((0, 8))}, "prediction_shape"),
        ({"actions": [[1.0], [1.0, 2.0]]}, "prediction_shape"),
    ],
)
def test_replies_without_rows(reply, reason):
    assert refusal_of(lambda: rows_of_reply(reply)).reason == reason


def test_an_error_is_an_error_even_beside_rows():
    reply = {"error": "overload", "actions": np.zeros((50, 8))}
    assert refusal_of(lambda: rows_of_reply(reply)).reason == "error_reply"


def test_rows_of_a_reply():
    rows = rows_of_reply({"actions": np.ones((50, 8), np.float32), "server_timing": {}})
    assert rows.dtype == np.float64
    assert rows.shape == (50, 8)
