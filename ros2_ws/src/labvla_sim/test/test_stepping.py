"""Simulated time stands as long as somebody works on its step, and nobody can hold it for ever."""

import threading

import pytest

from labvla_sim.plant import Pace
from labvla_sim.plant.stepping import Answer, Progress, StepBarrier

WORKING, DONE, IDLE, LEFT = Progress.WORKING, Progress.DONE, Progress.IDLE, Progress.LEFT
NOW = 1e-9  # s: one look


class Time:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Time()


@pytest.fixture
def barrier(clock):
    barrier = StepBarrier(silence=2.0, clock=clock)
    barrier.open(100)
    return barrier


def test_without_anybody_time_goes_on(barrier):
    assert barrier.wait(NOW)
    assert barrier.taking_part == ()


def test_time_stands_until_everybody_is_done(barrier):
    barrier.tell("a", Answer(100, DONE))
    barrier.tell("b", Answer(100, WORKING))
    assert not barrier.wait(NOW)
    barrier.tell("b", Answer(100, DONE))
    assert barrier.wait(NOW)
    assert set(barrier.taking_part) == {"a", "b"}


def test_done_with_the_step_before_is_not_done(barrier):
    barrier.tell("a", Answer(100, DONE))
    barrier.open(200)
    assert not barrier.wait(NOW)
    barrier.tell("a", Answer(200, DONE))
    assert barrier.wait(NOW)


def test_who_waits_is_woken(barrier):
    barrier.tell("a", Answer(100, WORKING))
    timer = threading.Timer(0.02, lambda: barrier.tell("a", Answer(100, DONE)))
    timer.start()
    assert barrier.wait(10.0)
    timer.join()


def test_a_chunk_that_was_sent_has_to_arrive_first(barrier):
    barrier.tell("a", Answer(100, DONE, session=5, sequence=3))
    assert not barrier.wait(NOW)
    barrier.chunk_arrived(5, 2)
    barrier.chunk_arrived(4, 9)
    assert not barrier.wait(NOW)
    barrier.chunk_arrived(5, 3)
    assert barrier.wait(NOW)
    assert barrier.given_up == 0


def test_a_chunk_that_never_arrives_is_given_up_once(barrier, clock):
    for _ in range(12):
        barrier.tell("a", Answer(100, DONE, session=5, sequence=3))
        barrier.wait(NOW)
        clock.now += 0.2
    assert barrier.wait(NOW)
    barrier.open(200)
    barrier.tell("a", Answer(200, DONE, session=5, sequence=3))
    assert barrier.wait(NOW)
    assert barrier.given_up == 1


def test_who_works_for_long_is_waited_for_as_long_as_he_says_so(barrier, clock):
    for _ in range(500):  # 100 s
        barrier.tell("a", Answer(100, WORKING))
        assert not barrier.wait(NOW)
        clock.now += 0.2


def test_who_falls_silent_takes_no_part_any_more(barrier, clock):
    barrier.tell("a", Answer(100, WORKING))
    clock.now += 1.9
    assert not barrier.wait(NOW)
    clock.now += 0.2
    assert barrier.wait(NOW)
    assert (barrier.taking_part, barrier.given_up) == ((), 1)
    barrier.tell("a", Answer(100, WORKING))  # back again
    assert not barrier.wait(NOW)


def test_who_leaves_is_not_missed(barrier):
    barrier.tell("a", Answer(100, WORKING))
    barrier.tell("a", Answer(100, LEFT))
    assert barrier.wait(NOW)
    assert barrier.given_up == 0


def test_a_hold_lasts_until_somebody_has_worked_on_the_step(barrier):
    barrier.abandon(hold=True)
    assert barrier.wait(NOW)  # the old step
    barrier.open(200)
    assert not barrier.wait(NOW)
    barrier.tell("a", Answer(200, IDLE))
    assert not barrier.wait(NOW)
    barrier.tell("a", Answer(200, WORKING))
    assert not barrier.wait(NOW)
    barrier.tell("a", Answer(200, DONE))
    assert barrier.wait(NOW)
    barrier.open(300)
    barrier.tell("a", Answer(300, IDLE))
    assert barrier.wait(NOW)  # once only


def test_an_abandoned_step_waits_for_nobody(barrier):
    barrier.tell("a", Answer(100, WORKING))
    assert not barrier.wait(NOW)
    barrier.abandon(hold=False)
    assert barrier.wait(NOW)
    barrier.open(200)
    assert not barrier.wait(NOW)


def test_at_the_end_nobody_waits(barrier):
    barrier.tell("a", Answer(100, WORKING))
    barrier.end()
    assert barrier.wait(NOW)


# --- how fast


class Pacer:
    def __init__(self, factor):
        self.factor, self.waited = factor, []

    def wait(self, simulated):
        self.waited.append(simulated)


def pace(speed, made):
    def new_pacer(factor):
        made.append(Pacer(factor))
        return made[-1]

    return Pace(speed, new_pacer)


def test_where_nobody_holds_time_it_is_real():
    made = []
    pace(0.0, made).wait(1.0, free=False)
    assert [(p.factor, p.waited) for p in made] == [(1.0, [1.0])]


def test_where_somebody_holds_it_it_is_as_fast_as_it_goes():
    made = []
    pace(0.0, made).wait(1.0, free=True)
    assert made == []


def test_time_that_ran_freely_is_not_waited_for_afterwards():
    made = []
    paced = pace(0.0, made)
    paced.wait(1.0, free=False)
    paced.wait(50.0, free=True)
    paced.wait(50.001, free=False)
    assert [p.waited for p in made] == [[1.0], [50.001]]


@pytest.mark.parametrize("free", [True, False])
def test_a_speed_is_a_bound_for_both(free):
    made = []
    pace(2.0, made).wait(1.0, free=free)
    assert [(p.factor, p.waited) for p in made] == [(2.0, [1.0])]
