"""A way that somebody else planned gets our timing, and is checked as if nobody had planned it."""

from dataclasses import replace

import numpy as np
import pytest
from core_robot import TELLS, Robot
from hypothesis import given, settings
from hypothesis import strategies as st
from runtime_support import T0, at_rest, cell_of, posture, refusal_of

from labvla_policy.runtime.arbiter import Arbiter, Owner
from labvla_policy.runtime.cell.geometry import KeepOut
from labvla_policy.runtime.gate.gate import Gate
from labvla_policy.runtime.gate.rules import Limits
from labvla_policy.runtime.mover.curve import Curve, Spline
from labvla_policy.runtime.mover.execution import Ended, Execution, Outcome
from labvla_policy.runtime.mover.move_to import Mover
from labvla_policy.runtime.mover.way import Way
from labvla_policy.runtime.refusal import Refusal, Refused
from labvla_policy.runtime.types import NANOSECONDS, Prediction

CELLS = ("franka", "ur5e", "dual_arm", "dual_franka")


class Planner:
    """Answers what a test says: how a way from a start to a goal looks."""

    def __init__(self, joints, way=None):
        self._joints, self._way = joints, way or (lambda start, goal: [start, goal])
        self.asked = []

    def find(self, start, goal):
        self.asked.append((start, goal))
        answer = self._way(start, goal)
        return answer if isinstance(answer, Way) else Way(tuple(self._joints), np.array(answer))


def mover(cell, way=None):
    return Mover(cell, Gate(cell), ways=Planner(cell.joints, way))


def detour(start, goal):
    """Aside by 0.25 rad in the first joint, half-way, like a planner's 20 postures."""
    s = np.linspace(0, 1, 20)[:, np.newaxis]
    way = start + s * (goal - start)
    way[:, 0] += 0.25 * np.sin(np.pi * s[:, 0])
    return way


def rows(motion):
    return motion.chunk(T0, int(np.ceil(motion.duration / motion.dt)) + 2).joint_targets


# --- the curve


@settings(deadline=None, max_examples=40)
@given(
    points=st.integers(2, 30),
    joints=st.integers(1, 14),
    seed=st.integers(0, 2**32 - 1),
    scale=st.floats(0.05, 1.0),
)
def test_a_motion_stays_within_the_limits_of_every_joint_and_comes_to_rest(
    points, joints, seed, scale
):
    random = np.random.default_rng(seed)
    way = np.cumsum(random.normal(0, 0.2, (points, joints)), axis=0)
    limits = [random.uniform(0.3, 3, joints), random.uniform(1, 5, joints)]
    limits.append(random.uniform(20, 200, joints))
    curve = Curve.within(way, *limits, scale)
    # No finer than it was measured: between, a cubic's third derivative has steps.
    t = np.linspace(0, curve.duration, 700)
    q = curve.at(t)
    np.testing.assert_allclose(q[[0, -1]], way[[0, -1]], atol=1e-9)
    for order, limit in enumerate(limits, start=1):
        largest = np.abs(np.diff(q, order, axis=0)).max(axis=0) / t[1] ** order
        assert np.all(largest <= limit * scale**order * 1.02)
    ends = np.abs(np.diff(q, axis=0))[[0, -1]].max() / t[1]
    assert ends < 0.02 * max(np.abs(np.diff(q, axis=0)).max() / t[1], 1e-9)


def test_at_full_speed_some_limit_is_reached():
    way = np.cumsum(np.random.default_rng(1).normal(0, 0.2, (8, 6)), axis=0)
    velocity, acceleration, jerk = np.full(6, 1.0), np.full(6, 2.5), np.full(6, 100.0)
    curve = Curve.within(way, velocity, acceleration, jerk, 1.0)
    t = np.linspace(0, curve.duration, 1000)
    used = [
        np.abs(np.diff(curve.at(t), order, axis=0)).max() / t[1] ** order / limit
        for order, limit in ((1, 1.0), (2, 2.5), (3, 100.0))
    ]
    assert max(used) == pytest.approx(1.0, abs=1e-6)


def test_a_spline_goes_through_every_posture_without_a_corner():
    points = np.cumsum(np.random.default_rng(2).normal(0, 0.3, (9, 3)), axis=0)
    spline = Spline.through(points, np.ones(3))
    np.testing.assert_allclose(spline.at(spline.knots), points, atol=1e-12)
    s, h = spline.knots[1:-1], 1e-5
    before, here, after = spline.at(s - h), spline.at(s), spline.at(s + h)
    np.testing.assert_allclose((after - here) / h, (here - before) / h, atol=1e-2)
    bend_before = (spline.at(s - 2 * h) - 2 * before + here) / h**2
    bend_after = (spline.at(s + 2 * h) - 2 * after + here) / h**2
    np.testing.assert_allclose(bend_after, bend_before, atol=0.05 * np.abs(bend_before).max())


def test_postures_that_are_told_twice_do_no_harm():
    way = np.repeat(np.array([[0.0, 0.0], [0.3, 0.1], [0.5, 0.0]]), [3, 2, 4], axis=0)
    curve = Curve.within(way, np.ones(2), np.ones(2), np.full(2, 50.0), 1.0)
    q = curve.at(np.linspace(0, curve.duration, 200))
    assert np.all(np.isfinite(q))
    np.testing.assert_allclose(q[-1], way[-1])


# --- the mover


@pytest.mark.parametrize("name", CELLS)
def test_a_planners_way_is_followed_within_the_operating_limits(name):
    cell = cell_of(name)
    plan = mover(cell, detour).to_posture("home", at_rest(cell), 1.0)
    q = rows(plan)
    middle = q[len(q) // 2, 0] - (posture(cell)[0] + posture(cell, "home")[0]) / 2
    assert middle == pytest.approx(0.25, abs=0.02)
    np.testing.assert_allclose(q[0], posture(cell), atol=1e-9)
    np.testing.assert_allclose(q[-1], posture(cell, "home"), atol=1e-9)
    limits = Limits.of_cell(cell)
    for order, limit in enumerate((limits.velocity, limits.acceleration, limits.jerk), start=1):
        assert np.all(np.abs(np.diff(q, order, axis=0)) / plan.dt**order <= limit)


def test_a_slower_speed_takes_longer_on_the_same_way():
    cell = cell_of("franka")
    fast, slow = (mover(cell, detour).to_posture("home", at_rest(cell), s) for s in (1.0, 0.25))
    assert slow.duration == pytest.approx(4 * fast.duration)
    part = np.linspace(0, 1, 50)
    np.testing.assert_allclose(
        slow.at(part * slow.duration), fast.at(part * fast.duration), atol=1e-9
    )


def test_a_way_in_another_order_of_joints_is_the_same_way():
    cell = cell_of("dual_arm")
    order = np.random.default_rng(3).permutation(len(cell.joints))
    names = tuple(cell.joints[i] for i in order)
    turned = mover(cell, lambda a, b: Way(names, detour(a, b)[:, order]))
    plain = mover(cell, detour)
    np.testing.assert_allclose(
        rows(turned.to_posture("home", at_rest(cell))),
        rows(plain.to_posture("home", at_rest(cell))),
    )


def test_where_the_arms_are_already_nobody_is_asked():
    cell = cell_of("franka")
    planner = Planner(cell.joints)
    plan = Mover(cell, Gate(cell), ways=planner).to_posture("ready", at_rest(cell))
    assert plan.duration == 0
    assert planner.asked == []


def broken(change):
    """A detour with something wrong with it."""

    def way(start, goal):
        points = detour(start, goal)
        return change(points) if callable(change) else change

    return way


@pytest.mark.parametrize(
    ("change", "reason", "words"),
    [
        (lambda p: p + 0.02, "planner_start", "begins 0.020 rad away"),
        (lambda p: p[:-3], "planner_goal", "ends"),
        (lambda p: p[:, :-1], "planner_answer", r"of 7 joints, got \(20, 6\)"),
        (lambda p: p[:1], "planner_answer", "expected 2 to 10000 postures"),
        (lambda p: np.where(p == p[9, 3], np.nan, p), "planner_answer", "posture 9 holds nan"),
        (lambda p: Way(("a", "b"), p), "planner_answer", "every joint of the cell once, got a, b"),
        (
            lambda p: Way(tuple(f"fr3_joint{i}" for i in (1, 1, 3, 4, 5, 6, 7)), p),
            "planner_answer",
            "every joint of the cell once",
        ),
    ],
)
def test_an_answer_that_is_no_way_from_here_to_there_is_refused(change, reason, words):
    cell = cell_of("franka")
    planner = mover(cell, broken(change))
    refusal = refusal_of(lambda: planner.to_posture("home", at_rest(cell)))
    assert refusal.reason == reason
    with pytest.raises(Refused, match=words):
        planner.to_posture("home", at_rest(cell))


def test_joints_in_the_wrong_order_are_found_where_the_way_begins():
    """Names and columns that do not belong together are a way from somewhere else."""
    cell = cell_of("franka")
    planner = mover(cell, lambda a, b: Way(tuple(reversed(cell.joints)), detour(a, b)))
    assert refusal_of(lambda: planner.to_posture("home", at_rest(cell))).reason == "planner_start"


def test_a_way_out_of_the_tools_box_is_refused_by_the_gate():
    cell = cell_of("franka")

    def backwards(start, goal):
        s = np.linspace(0, 1, 30)[:, np.newaxis]
        way = start + s * (goal - start)
        way[:, 0] += 1.6 * np.sin(np.pi * s[:, 0])
        return way

    refusal = refusal_of(lambda: mover(cell, backwards).to_posture("home", at_rest(cell)))
    assert refusal.reason == "workspace"
    assert refusal.detail.startswith("the planner's way does not pass the gate: row")
    assert refusal.row > 0


def test_a_way_into_a_keep_out_box_is_refused_by_the_gate():
    cell = cell_of("franka")
    box = KeepOut(name="rack", lower=(0.40, 0.10, 0.0), upper=(0.70, 0.30, 0.6))
    workspace = replace(cell.workspace, keep_out=(*cell.workspace.keep_out, box))
    crowded = replace(cell, workspace=workspace)
    assert mover(cell, detour).to_posture("home", at_rest(cell))
    refusal = refusal_of(lambda: mover(crowded, detour).to_posture("home", at_rest(cell)))
    assert refusal.reason == "keep_out"
    assert "rack" in refusal.subject


def test_what_the_planner_refuses_is_passed_on():
    cell = cell_of("franka")

    def nothing(_start, _goal):
        raise Refused(Refusal("planner_no_plan", "no way was found"))

    refusal = refusal_of(lambda: mover(cell, nothing).to_posture("home", at_rest(cell)))
    assert refusal.reason == "planner_no_plan"


# --- carried out by the controller core


@pytest.mark.parametrize("name", ["franka", "ur5e", "dual_franka"])
def test_the_controller_follows_a_planners_way_exactly(name):
    cell = cell_of(name)
    robot, arbiter = Robot(cell, posture(cell)), Arbiter()
    plan = mover(cell, detour).planner("home", (), (), 1.0)
    execution = Execution(
        plan, Limits.of_cell(cell), arbiter, arbiter.request(Owner.MOVE_TO, robot.t)
    )
    for _ in range(30_000 // TELLS):
        step = execution.step(robot.t, robot.told())
        if isinstance(step, Ended):
            break
        if isinstance(step, Prediction):
            robot.take(step)
        robot.advance(TELLS)
    assert step.outcome is Outcome.REACHED
    assert step.error < 1e-4
    q, period = np.array(robot.positions), robot.period / NANOSECONDS
    limits = Limits.of_cell(cell)
    for order, limit in enumerate((limits.velocity, limits.acceleration, limits.jerk), start=1):
        assert np.all(np.abs(np.diff(q, order, axis=0)) / period**order <= limit * (1 + 1e-6))
    # Every place on the way that was checked was passed.
    way = detour(posture(cell), posture(cell, "home"))
    nearest = np.abs(q[:, np.newaxis, :] - way[np.newaxis]).max(axis=2).min(axis=0)
    assert nearest.max() < 0.01
