"""In lock-step the simulation goes on when, and only when, everybody is done with its step."""

import threading
import time

import pytest

from labvla_policy.runtime.beat import LockStep, Progress, RealTime, Step

PATIENCE = 10.0  # s


class Bench:
    """A LockStep whose messages arrive when the test says so."""

    def __init__(self):
        self.told = []
        self.arrived = True
        self.idle = False
        self.beat = LockStep(
            clock=lambda: 7,
            has_arrived=lambda _step: self.arrived,
            is_idle=lambda: self.idle,
            tell=lambda stamp, progress: self.told.append((stamp, progress)),
        )
        self.threads = []

    def offer(self, stamp):
        self.beat.offer(Step(stamp, frozenset()))

    def worker(self, work=lambda _t: None):
        """Look, work, rest, for ever; return the times that were seen."""
        seen = []
        member = self.beat.join(threading.Event())

        def live():
            while True:
                t = member.look()
                if t < 0:
                    break
                seen.append(t)
                work(t)
                member.rest(0.0)
            member.leave()

        thread = threading.Thread(target=live, daemon=True)
        thread.start()
        self.threads.append(thread)
        return seen

    def close(self):
        self.offer(-1)
        for thread in self.threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()


def until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.001)


@pytest.fixture
def bench():
    bench = Bench()
    yield bench
    bench.close()


def test_before_the_first_step_there_is_only_the_clock(bench):
    assert bench.beat.now() == 7
    seen = bench.worker()
    until(lambda: seen == [7])


def test_every_step_is_seen_once_and_told_when_it_is_done(bench):
    seen = bench.worker()
    for stamp in (100, 200, 300):
        bench.offer(stamp)
        until(lambda stamp=stamp: (stamp, Progress.DONE) in bench.told)
        bench.offer(stamp)  # announced again
    assert seen[-3:] == [100, 200, 300]
    assert bench.beat.now() == 300


def test_a_step_is_not_done_before_the_last_of_several_threads(bench):
    may_end = threading.Event()
    fast = bench.worker()
    slow = bench.worker(lambda t: may_end.wait(PATIENCE) if t == 100 else None)
    until(lambda: fast and slow)
    bench.offer(100)
    until(lambda: fast[-1] == 100 and slow[-1] == 100)
    bench.beat.repeat()
    assert bench.told[-1] == (100, Progress.WORKING)
    assert (100, Progress.DONE) not in bench.told
    may_end.set()
    until(lambda: (100, Progress.DONE) in bench.told)


def test_nothing_is_looked_at_before_its_messages_have_arrived(bench):
    seen = bench.worker()
    until(lambda: seen)
    bench.arrived = False
    bench.offer(100)
    time.sleep(0.02)
    assert 100 not in seen
    bench.arrived = True
    until(lambda: seen[-1] == 100)
    assert bench.beat.stragglers == 0


def test_messages_that_never_arrive_are_counted_and_not_waited_for_for_ever(bench):
    seen = bench.worker()
    until(lambda: seen)
    bench.arrived = False
    bench.offer(100)
    until(lambda: seen[-1] == 100)
    assert bench.beat.stragglers == 1
    bench.arrived = True


def test_without_work_a_step_is_idle(bench):
    bench.idle = True
    bench.worker()
    bench.offer(100)
    until(lambda: (100, Progress.IDLE) in bench.told)


def test_a_change_is_acted_on_in_the_same_step(bench):
    """An instruction that comes while time stands."""
    bench.idle = True
    seen = bench.worker()
    bench.offer(100)
    until(lambda: (100, Progress.IDLE) in bench.told)
    bench.idle = False
    bench.beat.poke()
    until(lambda: (100, Progress.DONE) in bench.told)
    assert seen.count(100) == 2


def test_who_leaves_holds_nobody_up(bench):
    bench.worker()
    stays_away = bench.beat.join(threading.Event())
    bench.offer(100)
    bench.beat.repeat()
    until(lambda: bench.told[-1] == (100, Progress.WORKING))
    stays_away.leave()
    until(lambda: (100, Progress.DONE) in bench.told)


def test_the_last_one_to_leave_says_so():
    bench = Bench()
    member = bench.beat.join(threading.Event())
    bench.offer(100)
    member.leave()
    assert bench.told[-1] == (100, Progress.LEFT)
    told = len(bench.told)
    bench.beat.repeat()
    assert len(bench.told) == told  # silent from now on


def test_at_the_end_nobody_rests():
    bench = Bench()
    member = bench.beat.join(threading.Event())
    bench.offer(100)
    member.look()
    bench.beat.end()
    member.rest(0.0)  # returns


def test_in_real_time_a_picture_ends_a_rest():
    wake = threading.Event()
    member = RealTime(lambda: 5).join(wake)
    assert member.look() == 5
    wake.set()
    begin = time.monotonic()
    member.rest(60.0)
    assert time.monotonic() - begin < PATIENCE
    assert member.look() == 5
    assert not wake.is_set()
    member.rest(0.0)
