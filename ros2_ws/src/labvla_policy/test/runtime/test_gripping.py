"""The gripper does what lasting targets ask for, keeps its grasp, and gives faults a name."""

import pytest
from fake_hand import TELLS, FakeHand
from hypothesis import example, given, settings
from hypothesis import strategies as st
from runtime_support import cell_of

from labvla_policy.runtime.gripping.driver import DriverSettings, Grip, GripperDriver
from labvla_policy.runtime.types import NANOSECONDS

DT = 0.02  # s, of a step
BEAKER = 0.045
OPEN, CLOSED = 0.08, 0.0


class Reports:
    def __init__(self):
        self.heard = []

    def refused(self, refusal, t):
        self.heard.append(refusal)

    @property
    def reasons(self):
        return [refusal.reason for refusal in self.heard]


class Bench:
    """A controller's set-points on one side, a hand on the other."""

    def __init__(self, **hand):
        self.hand = FakeHand(**hand)
        self.reports = Reports()
        gripper = cell_of("franka").arms[0].gripper
        self.driver = GripperDriver("arm_gripper", gripper, self.hand, self.reports)
        self.t = 0.0
        self._next_told = 0.0
        self.holding = False

    def run(self, seconds, target=None):
        """Send a target (or a function of time) all the while; None: the controller is silent."""
        for _ in range(round(seconds / DT)):
            t = round(self.t * NANOSECONDS)
            if target is not None:
                value = target(self.t) if callable(target) else target
                self.driver.hear(value, self.holding, t)
            if self.t >= self._next_told:
                self._next_told += TELLS
                self.driver.feel(self.hand.opening)
            self.driver.step(t)
            self.hand.advance(DT)
            self.t += DT
        return self

    @property
    def kinds(self):
        return [goal.kind for goal in self.hand.goals]

    @property
    def grip(self):
        return self.driver.grip


def grasping():
    bench = Bench(thing=BEAKER).run(2.0, CLOSED)
    assert bench.grip is Grip.GRASPED
    return bench


def test_a_target_that_lasts_is_one_goal_with_the_cells_force_and_speed():
    bench = Bench().run(2.0, 0.02)
    (goal,) = bench.hand.goals
    assert (goal.kind, goal.opening, goal.speed, goal.force) == ("close", 0.02, 0.1, 20.0)
    assert bench.hand.opening == pytest.approx(0.02)
    assert bench.grip is Grip.CLOSED
    assert bench.reports.heard == []


def test_where_the_fingers_are_already_nothing_is_sent():
    assert Bench().run(2.0, OPEN).kinds == []


def test_a_blip_moves_nothing():
    bench = Bench().run(1.0, OPEN)
    for _ in range(10):
        bench.run(0.08, CLOSED).run(0.2, OPEN)
    assert bench.kinds == []


def test_noise_moves_nothing():
    def noisy(t):
        return 0.04 + 0.004 * (-1) ** round(t / DT)

    assert Bench(opening=0.04).run(3.0, noisy).kinds == []


def test_a_ramp_is_one_goal_at_its_end():
    bench = Bench().run(2.0, lambda t: max(0.0, OPEN - 0.16 * t))
    assert bench.kinds == ["close"]
    assert bench.hand.goals[0].opening == pytest.approx(CLOSED, abs=0.005)


def test_what_resists_is_grasped_and_what_does_not_is_not():
    assert Bench(thing=BEAKER).run(2.0, CLOSED).grip is Grip.GRASPED
    assert Bench().run(2.0, CLOSED).grip is Grip.CLOSED


def test_a_driver_that_calls_a_stall_a_failure_has_grasped_nevertheless():
    bench = Bench(thing=BEAKER, stall_fails=True).run(2.0, CLOSED)
    assert bench.grip is Grip.GRASPED
    assert bench.kinds == ["close"]
    assert bench.reports.heard == []


@pytest.mark.parametrize("target", [0.0, 0.03, BEAKER, BEAKER + 0.009])
def test_a_grasp_is_not_released_by_a_target_near_what_is_held(target):
    bench = grasping()
    bench.run(2.0, target)
    assert bench.kinds == ["close"]
    assert bench.grip is Grip.GRASPED


def test_a_grasp_is_released_by_a_target_that_is_clearly_wider():
    bench = grasping().run(2.0, OPEN)
    assert bench.kinds == ["close", "open"]
    assert bench.grip is Grip.OPEN


def test_what_is_nearly_as_wide_as_the_hand_is_released_by_a_hand_fully_open():
    bench = Bench(thing=0.075).run(2.0, CLOSED)
    assert bench.grip is Grip.GRASPED
    bench.run(2.0, OPEN)
    assert bench.kinds == ["close", "open"]
    assert bench.grip is Grip.OPEN


def test_a_reversal_preempts_the_goal_under_way():
    bench = Bench().run(0.4, CLOSED)
    assert 0 < bench.hand.opening < OPEN
    bench.run(0.5, OPEN)
    assert bench.kinds == ["close", "open"]
    assert bench.hand.canceled == [1]
    assert bench.driver.counters.preempted == 1
    bench.run(1.0, OPEN)
    assert bench.hand.opening == pytest.approx(OPEN)
    assert bench.reports.heard == []


def test_a_goal_in_the_same_direction_waits_for_the_one_under_way():
    bench = Bench().run(0.3, 0.05).run(3.0, 0.02)
    assert bench.kinds == ["close", "close"]
    assert bench.hand.canceled == []
    assert bench.hand.opening == pytest.approx(0.02)


@pytest.mark.parametrize(("target", "kind"), [(OPEN, "open"), (CLOSED, "close")])
def test_fingers_that_nobody_tells_about_are_moved_by_what_is_asked(target, kind):
    bench = Bench(opening=0.04)
    bench.driver.feel = lambda _opening: None
    bench.run(3.0, target)
    assert bench.kinds == [kind]
    assert bench.hand.opening == pytest.approx(target)


# --- stops


@pytest.mark.parametrize("target", [OPEN, CLOSED, 0.06])
def test_while_the_controller_is_stopped_a_grasp_is_kept_whatever_is_asked(target):
    bench = grasping()
    bench.holding = True
    bench.run(5.0, target)
    assert bench.kinds == ["close"]
    assert bench.hand.opening == BEAKER


def test_an_opening_that_had_not_lasted_before_the_stop_does_not_come_after_it():
    bench = grasping().run(0.06, OPEN)
    bench.holding = True
    bench.run(1.0, OPEN)
    bench.holding = False
    bench.run(0.06, OPEN)
    assert bench.kinds == ["close"]
    bench.run(0.2, OPEN)
    assert bench.kinds == ["close", "open"]


def test_a_silent_controller_keeps_the_grasp():
    bench = grasping().run(0.06, OPEN).run(10.0)
    assert bench.kinds == ["close"]


def test_a_closing_under_way_is_finished_during_a_stop():
    bench = Bench(thing=BEAKER).run(0.2, CLOSED)
    bench.holding = True
    bench.run(2.0, CLOSED)
    assert bench.grip is Grip.GRASPED


def test_no_retry_during_a_stop():
    bench = Bench(fails=1).run(0.25, CLOSED)
    assert bench.driver.counters.retried == 0
    bench.holding = True
    bench.run(3.0, CLOSED)
    assert bench.driver.counters.retried == 1
    assert bench.kinds == ["close"]
    bench.holding = False
    bench.run(2.0, CLOSED)
    assert bench.kinds == ["close", "close"]
    assert bench.grip is Grip.CLOSED


# --- faults of the driver


def test_a_refused_goal_is_tried_again():
    bench = Bench(refuses=2).run(4.0, CLOSED)
    assert bench.kinds == ["close"] * 3
    assert bench.reports.reasons == ["gripper_refused"] * 2
    assert bench.grip is Grip.CLOSED


def test_after_the_last_attempt_it_is_given_up_until_another_target_comes():
    bench = Bench(fails=3).run(10.0, CLOSED)
    assert bench.kinds == ["close"] * 3
    assert bench.reports.reasons == ["gripper_failed"] * 3
    assert "given up" in bench.reports.heard[-1].detail
    assert (bench.grip, bench.driver.counters.failed) == (Grip.FAILED, 1)
    bench.run(2.0, 0.03)
    assert bench.hand.opening == pytest.approx(0.03)
    assert bench.grip is Grip.CLOSED


def test_a_driver_that_takes_goals_without_a_word_is_told_by_name():
    bench = Bench(silent=True).run(8.0, CLOSED)
    assert set(bench.reports.reasons) == {"gripper_silent"}
    assert bench.grip is Grip.FAILED
    assert bench.hand.canceled == [1, 2, 3]


def test_a_lost_result_is_judged_by_the_fingers():
    bench = Bench(thing=BEAKER, loses_results=True).run(6.0, CLOSED)
    assert bench.kinds == ["close"]
    assert bench.grip is Grip.GRASPED
    assert bench.driver.counters.results_lost == 1
    assert bench.reports.heard == []


def test_fingers_that_do_not_move_are_interrupted_and_told_by_name():
    bench = Bench(stuck=True).run(20.0, CLOSED)
    assert set(bench.reports.reasons) == {"gripper_hung"}
    assert bench.hand.interruptions == 3
    assert bench.grip is Grip.FAILED


def test_a_driver_that_does_not_cancel_is_interrupted():
    bench = Bench(stuck=True, deaf=True).run(0.4, CLOSED).run(1.5, OPEN)
    assert bench.hand.interruptions == 1
    bench.hand.stuck = False
    bench.run(2.0, OPEN)
    assert bench.hand.opening == pytest.approx(OPEN)


def test_a_missing_driver_is_told_and_used_as_soon_as_it_is_there():
    bench = Bench(present=False).run(5.0, CLOSED)
    assert set(bench.reports.reasons) == {"gripper_missing"}
    assert 2 <= len(bench.reports.heard) <= 3  # not at every step
    assert bench.kinds == []
    bench.hand.present = True
    bench.run(4.0, CLOSED)
    assert bench.grip is Grip.CLOSED


def test_a_target_beyond_the_stroke_is_the_stroke_and_none_is_none():
    bench = Bench(opening=0.02).run(0.1, float("nan")).run(2.0, 0.5)
    assert [goal.opening for goal in bench.hand.goals] == [OPEN]


# --- everything at once


STEP = st.tuples(
    st.sampled_from([0.0, 0.02, 0.045, 0.053, 0.06, 0.08]),  # target
    st.floats(0.02, 1.5),  # s
    st.booleans(),  # the controller is stopped
    st.sampled_from(["none", "refuses", "fails", "deaf", "stuck", "loses_results", "silent"]),
)


@settings(deadline=None, max_examples=60)
@example(  # a driver that fails half-way looks like one that has stalled on something
    steps=[(0.0, 0.25, False, "silent"), (0.0, 1.5, False, "none"), (0.0, 1.0, False, "fails")],
    thing=None,
)
@given(steps=st.lists(STEP, min_size=1, max_size=12), thing=st.sampled_from([None, BEAKER]))
def test_whatever_happens(steps, thing):
    bench = Bench(thing=thing)
    release = DriverSettings().release
    sent = bench.hand.send

    def send(goal):
        assert not bench.holding, "a goal during a stop"
        if goal.kind == "open" and bench.grip is Grip.GRASPED:
            clearly = goal.opening > bench.hand.opening + release or goal.opening == OPEN
            assert clearly, "a grasp was released for nothing"
        running = bench.driver._running
        assert running is None, "two goals at once"
        return sent(goal)

    bench.hand.send = send
    for target, seconds, holding, fault in steps:
        bench.holding = holding
        if fault in ("refuses", "fails"):
            setattr(bench.hand, fault, 1)
        elif fault != "none":
            setattr(bench.hand, fault, True)
        bench.run(seconds, target)
        for name in ("deaf", "stuck", "loses_results", "silent"):
            setattr(bench.hand, name, False)
    bench.hand.refuses = bench.hand.fails = 0  # what no goal came for
    # All faults are over: another target is reached.
    bench.holding = False
    bench.run(15.0, OPEN)
    bench.run(15.0, 0.03)
    expected = 0.03 if thing is None else max(0.03, thing)
    assert bench.hand.opening == pytest.approx(expected, abs=0.005)
    assert bench.grip in (Grip.CLOSED, Grip.GRASPED)
