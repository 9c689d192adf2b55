"""A move_to is carried out by the real controller core: it arrives, or ends for a named reason."""

from itertools import permutations

import numpy as np
import pytest
from core_robot import TELLS, Robot
from runtime_support import MS, T0, cell_of, posture

from labvla_control import Mode
from labvla_policy.runtime.arbiter import Arbiter, Owner
from labvla_policy.runtime.gate.gate import Gate
from labvla_policy.runtime.gate.rules import Limits
from labvla_policy.runtime.mover import execution
from labvla_policy.runtime.mover.execution import Ended, Execution, Outcome
from labvla_policy.runtime.mover.move_to import Mover
from labvla_policy.runtime.reference import Reference
from labvla_policy.runtime.refusal import Refused
from labvla_policy.runtime.types import NANOSECONDS, Prediction

STANDING = 1e-6


class Task:
    """An execution with everything that it needs."""

    def __init__(self, name="franka", start="ready", goal="home", scale=1.0):
        self.cell = cell_of(name)
        self.start = posture(self.cell, start)
        self.robot = Robot(self.cell, self.start)
        self.arbiter = Arbiter()
        self.limits = Limits.of_cell(self.cell)
        self.mover = Mover(self.cell, Gate(self.cell))
        self.goal, self.scale = goal, scale
        self.execution = None
        self.pieces = 0

    def begin(self):
        plan = self.mover.planner(self.goal, (), (), self.scale)
        lease = self.arbiter.request(Owner.MOVE_TO, self.robot.t)
        self.execution = Execution(plan, self.limits, self.arbiter, lease)
        return self

    def step(self):
        return self.execution.step(self.robot.t, self.robot.told())

    def run(self, milliseconds=30_000, until=lambda: False):
        """Step every 20 ms; return how it ended, or None if it goes on."""
        for _ in range(milliseconds // TELLS):
            step = self.step()
            if isinstance(step, Ended):
                return step
            if isinstance(step, Prediction):
                self.pieces += 1
                self.robot.take(step)
            if until():
                return None
            self.robot.advance(TELLS)
        return None

    def run_until_moving(self, speed=0.1):
        assert self.run(until=lambda: self.robot.speed > speed) is None
        assert self.robot.speed > speed

    def assert_smooth(self):
        q, period = np.array(self.robot.positions), self.robot.period / NANOSECONDS
        limits = (self.limits.velocity, self.limits.acceleration, self.limits.jerk)
        for order, limit in enumerate(limits, start=1):
            assert np.all(np.abs(np.diff(q, order, axis=0)) / period**order <= limit * (1 + 1e-6))

    def assert_straight(self):
        """Every joint as far on its way as every other, all the time."""
        way = posture(self.cell, self.goal) - self.start
        moving = np.abs(way) > 1e-9
        part = (np.array(self.robot.positions) - self.start)[:, moving] / way[moving]
        assert np.ptp(part, axis=1).max() < 1e-3


def failed(ended):
    assert ended.outcome is Outcome.FAILED
    return ended.refusal.reason


@pytest.mark.parametrize("name", ["franka", "ur5e", "dual_franka"])
@pytest.mark.parametrize("scale", [1.0, 0.0])
def test_every_posture_is_reached_from_every_other(name, scale):
    names = [p.name for p in cell_of(name).arms[0].postures]
    for start, goal in permutations(names, 2):
        task = Task(name, start, goal, scale).begin()
        ended = task.run()
        assert ended.outcome is Outcome.REACHED
        assert ended.error < 1e-4
        task.assert_smooth()
        task.assert_straight()
        assert task.arbiter.owner(task.robot.t) is None


def test_where_it_is_already_it_stays():
    task = Task(goal="ready").begin()
    assert task.run().outcome is Outcome.REACHED
    np.testing.assert_allclose(np.ptp(task.robot.positions, axis=0), 0, atol=1e-9)


def test_progress_rises_to_its_end():
    task = Task().begin()
    told = []
    while not isinstance(step := task.step(), Ended):
        told.append((task.execution.progress(task.robot.t), task.execution.remaining(task.robot.t)))
        if step is not None:
            task.robot.take(step)
        task.robot.advance(TELLS)
    progress, remaining = np.array(told).T
    assert progress[0] == 0.0
    assert np.all(np.diff(progress) >= 0)
    assert progress[-1] > 0.99
    known = np.isfinite(remaining)
    assert np.all(np.diff(remaining[known]) <= 1e-9)


@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_a_canceled_motion_comes_to_rest_on_its_way(scale):
    task = Task(scale=scale).begin()
    task.run_until_moving(0.2 * scale)
    task.run(300)
    canceled_at = task.robot.t
    task.execution.cancel()
    ended = task.run()
    assert ended.outcome is Outcome.CANCELED
    assert task.robot.speed < 1e-3
    # The promise of the controller is 0.8 s; what it is told last lets it stop sooner.
    assert (task.robot.t - canceled_at) / NANOSECONDS < 0.8
    assert ended.error > 0.05  # it was still far away
    task.assert_smooth()
    task.assert_straight()
    before = task.robot.positions[-1]
    task.robot.advance(1000)
    np.testing.assert_allclose(task.robot.positions[-1], before, atol=1e-6)


def test_canceled_before_it_begins_nothing_moves():
    task = Task().begin()
    task.execution.cancel()
    assert task.run().outcome is Outcome.CANCELED
    assert task.pieces == 0


def test_canceled_right_after_the_first_piece_it_does_not_end_before_the_arms_stand():
    task = Task().begin()
    task.run(until=lambda: task.pieces == 1)
    task.execution.cancel()
    assert task.run().outcome is Outcome.CANCELED
    before = task.robot.positions[-1]
    task.robot.advance(1000)
    np.testing.assert_allclose(task.robot.positions[-1], before, atol=1e-6)


def policy_plan(task):
    """A second of a slow motion of the first joint."""
    rows = np.tile(task.start, (30, 1))
    rows[:, 0] += 0.2 * (1 - np.cos(np.linspace(0, np.pi, 30))) / 2
    return Prediction(task.robot.t + 30 * MS, 1 / 30, task.cell.joints, rows, (), np.empty((30, 0)))


def test_the_policys_motion_ends_before_this_one_begins():
    task = Task()
    task.arbiter.request(Owner.POLICY, task.robot.t)
    task.robot.take(policy_plan(task))
    task.robot.advance(300)
    assert task.robot.speed > 0.1
    task.begin()
    task.run(until=lambda: task.pieces == 1)
    assert task.robot.speed < 1e-3
    assert task.run().outcome is Outcome.REACHED
    task.assert_smooth()


def test_a_plan_that_was_on_its_way_at_the_hand_over_is_waited_for():
    task = Task().begin()
    assert task.step() is None
    task.robot.advance(40)
    task.robot.take(policy_plan(task))  # admitted before the hand-over, delivered after it
    task.run(until=lambda: task.pieces == 1)
    assert abs(task.robot.positions[-1][0] - task.start[0]) > 0.1  # that plan was executed
    assert task.robot.speed < 1e-3
    assert task.run().outcome is Outcome.REACHED
    task.assert_smooth()


def test_a_higher_priority_ends_it_and_the_arms_stop():
    task = Task().begin()
    task.run_until_moving()
    task.arbiter.request(Owner.TELEOP, task.robot.t)
    assert failed(task.run()) == "not_owner"
    assert task.arbiter.owner(task.robot.t) is Owner.TELEOP
    task.robot.advance(1300)
    assert task.robot.speed < STANDING
    task.assert_smooth()


def test_a_newer_goal_takes_over():
    task = Task().begin()
    task.run_until_moving()
    first = task.execution
    task.goal = "ready"
    task.begin()
    assert failed(first.step(task.robot.t, task.robot.told())) == "not_owner"
    assert task.run().outcome is Outcome.REACHED
    task.assert_smooth()


def test_left_alone_the_arms_stop():
    task = Task().begin()
    task.run_until_moving()
    task.robot.advance(1300)
    assert task.robot.speed < STANDING
    task.assert_smooth()
    # Whoever wakes up then is not where the motion should be by now.
    assert failed(task.run()) in ("not_owner", "first_row_jump")


@pytest.mark.parametrize(("verb", "reason"), [("stop", "stopped"), ("pause", "controller_paused")])
def test_a_stop_of_the_controller_ends_it(verb, reason):
    task = Task().begin()
    task.run_until_moving()
    getattr(task.robot.core, verb)()
    task.robot.advance(1000)
    assert task.robot.core.state().mode in (Mode.STOPPED, Mode.PAUSED)
    assert failed(task.step()) == reason
    assert task.robot.speed < STANDING


def test_a_stop_of_the_cell_ends_it():
    task = Task().begin()
    task.run_until_moving()
    task.arbiter.stop()
    assert failed(task.run()) == "stopped"


def test_a_silent_controller_ends_it():
    task = Task().begin()
    task.run_until_moving()
    task.robot.silent = True
    assert failed(task.run()) == "controller_silent"


def test_arms_that_do_not_come_to_rest_end_it():
    task = Task().begin()
    task.robot.advance(200)
    restless = task.robot.told()
    moving = Reference(restless.stamp, restless.positions, np.full(7, 0.3), 0)
    step = task.execution.step(task.robot.t, moving)
    assert step is None
    late = task.robot.t + 4 * NANOSECONDS
    assert task.arbiter.keep(task.execution._lease, task.robot.t + NANOSECONDS)
    assert task.arbiter.keep(task.execution._lease, task.robot.t + 2 * NANOSECONDS)
    assert task.arbiter.keep(task.execution._lease, task.robot.t + 3 * NANOSECONDS)
    ended = task.execution.step(late, Reference(late, moving.positions, moving.velocities, 0))
    assert failed(ended) == "not_at_rest"
    assert ended.refusal.value == pytest.approx(0.3)


def test_arms_that_something_holds_have_not_arrived():
    task = Task().begin()
    task.robot.offset[3] = 0.08
    ended = task.run()
    assert failed(ended) == "not_reached"
    assert ended.error == pytest.approx(0.08, abs=1e-3)


def test_a_robot_at_half_its_speed_takes_twice_as_long():
    full, half = Task().begin(), Task().begin()
    half.robot.speed_scaling = 0.5
    seconds = []
    for task in (full, half):
        assert task.run().outcome is Outcome.REACHED
        task.assert_smooth()
        seconds.append((task.robot.t - T0) / NANOSECONDS - 0.15)
    assert seconds[1] / seconds[0] == pytest.approx(2.0, rel=0.15)


@pytest.mark.parametrize(
    ("goal", "reason"),
    [
        ({"posture": "sleep"}, "posture_unknown"),
        ({}, "goal_shape"),
        ({"posture": "home", "joints": ["fr3_joint1"], "positions": [0.0]}, "goal_shape"),
        ({"posture": "home", "positions": [0.0]}, "goal_shape"),
        ({"joints": ["fr3_joint1"], "positions": []}, "goal_shape"),
        ({"joints": ["fr3_joint1"] * 2, "positions": [0.0, 0.1]}, "goal_shape"),
        ({"joints": ["joint9"], "positions": [0.0]}, "joint_unknown"),
        ({"joints": ["fr3_joint1"], "positions": [np.inf]}, "goal_not_finite"),
        ({"posture": "home", "scale": 1.5}, "speed_scale"),
        ({"posture": "home", "scale": np.nan}, "speed_scale"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anybody_gives_up_the_motion(goal, reason):
    mover = Task().mover
    request = {"posture": "", "joints": (), "positions": (), **goal}
    with pytest.raises(Refused) as refused:
        mover.planner(**request)
    assert refused.value.refusal.reason == reason


def test_a_way_that_is_not_free_is_refused_by_its_name():
    task = Task()
    positions = task.start + np.array([0, 0.9, 0, 0, 0, 0.9, 0])
    plan = task.mover.planner("", task.cell.joints, positions)
    lease = task.arbiter.request(Owner.MOVE_TO, task.robot.t)
    task.execution = Execution(plan, task.limits, task.arbiter, lease)
    assert failed(task.run()) == "keep_out"
    assert task.pieces == 0


def test_a_piece_is_longer_than_any_stop():
    """Otherwise the controller would brake at every piece: its promise of a standstill is 0.8 s."""
    settings = execution.ExecutionSettings()
    for name in ("franka", "ur5e", "dual_franka"):
        limits = Limits.of_cell(cell_of(name))
        stop = limits.velocity / limits.acceleration + limits.acceleration / limits.jerk
        assert settings.horizon - settings.newer * settings.interval >= np.max(stop) * 0.9
