"""Postures are reached smoothly, together and in free space, or refused by the bodies' names."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runtime_support import MS, T0, at_rest, cell_of, posture, refusal_of

from labvla_policy.runtime.cell.geometry import KeepOut
from labvla_policy.runtime.gate.gate import Gate
from labvla_policy.runtime.gate.rules import Limits
from labvla_policy.runtime.mover.move_to import Mover
from labvla_policy.runtime.mover.profile import fastest

CELLS = ("franka", "ur5e", "dual_arm", "dual_franka")
LIMIT = st.floats(0.01, 1000)


def mover_of(cell):
    return Mover(cell, Gate(cell))


# --- the profile


@settings(deadline=None)
@given(speed=LIMIT, acceleration=LIMIT, jerk=LIMIT)
def test_the_profile_goes_from_rest_to_rest_within_its_limits(speed, acceleration, jerk):
    profile = fastest(speed, acceleration, jerk)
    t = np.linspace(0, profile.duration, 4001)
    step = t[1]
    s = profile.at(t)
    v, a = np.gradient(s, step), np.diff(s, 2) / step**2
    noise = 1e-13 / step**2 / 10  # what rounding of s does to its second difference
    assert s[0] == 0.0
    assert s[-1] == pytest.approx(1.0, abs=1e-12)
    assert np.all(np.diff(s) >= -1e-12)
    assert v.max() <= speed * (1 + 1e-6)
    assert np.abs(a).max() <= acceleration * (1 + 1e-6) + noise * 20
    assert np.abs(v[[0, -1]]).max() <= jerk * step**2
    assert np.abs(np.diff(a)).max() <= jerk * step * (1 + 1e-3) + noise * 40


@settings(deadline=None)
@given(speed=LIMIT, acceleration=LIMIT, jerk=LIMIT)
def test_no_phase_wastes_time(speed, acceleration, jerk):
    """At every moment one of the three limits is reached: there is no faster motion."""
    profile = fastest(speed, acceleration, jerk)
    a = profile.jerk * profile.jerk_time
    top = a * (profile.jerk_time + profile.acceleration_time)
    assert profile.jerk == jerk
    assert top <= speed * (1 + 1e-9)
    assert a <= acceleration * (1 + 1e-9)
    if profile.acceleration_time > 1e-9 * profile.duration:
        assert a == pytest.approx(acceleration)
    if profile.cruise_time > 1e-6 * profile.duration:
        assert top == pytest.approx(speed)


def test_known_durations():
    # jerk alone: half of the way in two phases, j t³ = 1/2
    assert fastest(100, 100, 4.0).duration == pytest.approx(4 * (1 / 8) ** (1 / 3))
    # speed decides: 10 s of cruise, less what the ramps cover
    assert fastest(0.1, 1e6, 1e9).duration == pytest.approx(10.0, abs=1e-3)
    # acceleration decides: half of the way in t, a t² / 2 = 1/2
    assert fastest(1e6, 1.0, 1e7).duration == pytest.approx(2.0, abs=1e-3)


# --- motions


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize(("start", "goal"), [("home", "ready"), ("ready", "home")])
def test_between_the_postures_of_the_shipped_cells(name, start, goal):
    cell = cell_of(name)
    now = at_rest(cell, posture(cell, start))
    motion = mover_of(cell).to_posture(goal, now, scale=1.0)
    assert motion.via == ""
    rows = int(motion.duration / motion.dt) + 10
    plan = motion.chunk(T0, rows)
    q = plan.joint_targets
    np.testing.assert_allclose(q[0], posture(cell, start))
    np.testing.assert_allclose(q[-1], posture(cell, goal))
    limits = Limits.of_cell(cell)
    dt = plan.dt
    assert np.all(np.abs(np.diff(q, axis=0)) / dt <= limits.velocity)
    assert np.all(np.abs(np.diff(q, 2, axis=0)) / dt**2 <= limits.acceleration)
    assert np.all(np.abs(np.diff(q, 3, axis=0)) / dt**3 <= limits.jerk)
    # straight: every joint is as far on its way as every other
    moving = np.abs(q[-1] - q[0]) > 1e-9
    part = (q[:, moving] - q[0, moving]) / (q[-1, moving] - q[0, moving])
    assert np.ptp(part, axis=1).max() < 1e-9
    assert Gate(cell).check(plan, now).refusal is None


def test_half_the_speed_takes_twice_the_time():
    cell = cell_of("franka")
    mover, now = mover_of(cell), at_rest(cell)
    full = mover.to_posture("home", now, scale=1.0)
    assert mover.to_posture("home", now, scale=0.5).duration == pytest.approx(2 * full.duration)
    assert mover.to_posture("home", now).duration == pytest.approx(2 * full.duration)


def test_chunks_of_one_motion_agree_with_each_other():
    motion = mover_of(cell_of("franka")).to_posture("home", at_rest(cell_of("franka")))
    first, second = motion.chunk(T0, 30), motion.chunk(T0 + 205 * MS, 30)
    shared = np.intersect1d(first.times, second.times)
    assert len(shared) == 30 - 11
    np.testing.assert_array_equal(
        first.joint_targets[np.isin(first.times, shared)],
        second.joint_targets[np.isin(second.times, shared)],
    )
    assert second.plan_start >= T0 + 205 * MS  # never a past row
    after = motion.chunk(T0 + 60_000 * MS, 5)
    np.testing.assert_array_equal(after.joint_targets, np.tile(motion.goal, (5, 1)))


def test_progress():
    motion = mover_of(cell_of("franka")).to_posture("home", at_rest(cell_of("franka")))
    half = T0 + round(motion.duration * 5e8)
    assert motion.progress(T0 - 5 * MS) == 0.0
    assert motion.progress(half) == pytest.approx(0.5)
    assert motion.progress(half * 2) == 1.0


def test_joints_left_out_stay():
    cell = cell_of("dual_arm")
    motion = mover_of(cell).to_joints({"left_wrist_3_joint": 0.5}, at_rest(cell))
    expected = posture(cell).copy()
    expected[5] = 0.5
    np.testing.assert_array_equal(motion.goal, expected)


def test_where_it_is_already():
    cell = cell_of("franka")
    motion = mover_of(cell).to_posture("ready", at_rest(cell))
    assert motion.duration == 0.0
    assert motion.progress(T0) == 1.0
    np.testing.assert_array_equal(motion.chunk(T0, 3).joint_targets, [posture(cell)] * 3)


@pytest.mark.parametrize(
    ("ask", "reason"),
    [
        (lambda m, now: m.to_posture("sleep", now), "posture_unknown"),
        (lambda m, now: m.to_joints({"joint9": 0.0}, now), "joint_unknown"),
        (lambda m, now: m.to_joints({"fr3_joint1": np.nan}, now), "goal_not_finite"),
        (lambda m, now: m.to_joints({"fr3_joint1": 2.8}, now), "position_limit"),
        (lambda m, now: m.to_posture("home", now, scale=1.1), "speed_scale"),
        (lambda m, now: m.to_posture("home", now, scale=-0.5), "speed_scale"),
        (lambda m, now: m.to_posture("home", now, scale=np.nan), "speed_scale"),
        (
            lambda m, now: m.to_posture("home", replace(now, velocities=np.full(7, 0.02))),
            "not_at_rest",
        ),
    ],
)
def test_refusals(ask, reason):
    cell = cell_of("franka")
    assert refusal_of(lambda: ask(mover_of(cell), at_rest(cell))).reason == reason


def test_a_goal_inside_of_something_is_refused_with_the_first_row_and_the_bodies():
    cell = cell_of("franka")
    goal = posture(cell) + np.array([0, 0.9, 0, 0, 0, 0.9, 0])
    joints = dict(zip(cell.joints, goal, strict=True))
    mover, now = mover_of(cell), at_rest(cell)
    refusal = refusal_of(lambda: mover.to_joints(joints, now))
    assert (refusal.reason, refusal.subject) == ("keep_out", "arm.fingers|bench_top")
    # up to the row before the way is free
    motion = mover._motion([now.positions, goal], T0, 0.5)
    path = motion.chunk(T0, refusal.row).joint_targets
    assert Gate(cell).check_path(path, now) is None
    assert 0 < refusal.row < motion.duration / motion.dt


def with_box(cell, lower, upper):
    box = KeepOut(name="shelf", lower=lower, upper=upper)
    keep_out = (*cell.workspace.keep_out, box)
    return replace(cell, workspace=replace(cell.workspace, keep_out=keep_out))


def test_a_way_over_a_posture_is_taken_where_the_straight_one_is_not_free():
    """A sheet stands across the bench; home lies before it."""
    cell = with_box(cell_of("franka"), (0.55, -0.01, 0.0), (0.75, 0.01, 0.9))
    left, right = posture(cell, "home").copy(), posture(cell, "home").copy()
    for q, side in ((left, 1), (right, -1)):
        q[0], q[1], q[3], q[5] = side * 0.6, 0.1, -2.0, 2.1
    now = at_rest(cell, left)
    goal = dict(zip(cell.joints, right, strict=True))
    motion = mover_of(cell).to_joints(goal, now)
    assert motion.via == "home"
    path = motion.chunk(T0, int(motion.duration / motion.dt) + 2).joint_targets
    np.testing.assert_allclose(path[0], left)
    np.testing.assert_allclose(path[-1], right)
    assert np.abs(path - posture(cell, "home")).max(axis=1).min() < 1e-2
    assert Gate(cell).check_path(path, now) is None

    closed = with_box(cell, (0.2, -0.01, 0.0), (0.75, 0.01, 1.2))
    refusal = refusal_of(lambda: mover_of(closed).to_joints(goal, now))
    assert refusal.reason == "keep_out"
    assert refusal.subject.endswith("|shelf")


def test_from_beyond_a_bound_the_way_back_is_open():
    cell = cell_of("franka")
    outside = posture(cell).copy()
    outside[0] = 1.2  # the tool is beside its box
    motion = mover_of(cell).to_posture("ready", at_rest(cell, outside))
    np.testing.assert_array_equal(motion.goal, posture(cell))
