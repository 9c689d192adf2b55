"""Events are counted in full and told once in a while."""

import threading

from runtime_support import MS, T0

from labvla_policy.runtime.event_log import EventLog
from labvla_policy.runtime.refusal import Refusal


def stale(camera="front"):
    return Refusal("camera_stale", "too old", camera)


def test_the_same_cause_is_told_once_a_second_and_counted_meanwhile():
    log = EventLog()
    told = [log.note("observation", stale(), T0 + n * 100 * MS) for n in range(25)]
    assert [n for n, count in enumerate(told) if count] == [0, 10, 20]
    assert [count for count in told if count] == [1, 10, 10]
    assert log.total == 25


def test_causes_about_other_subjects_are_news():
    log = EventLog()
    assert log.note("observation", stale("front"), T0) == 1
    assert log.note("observation", stale("side"), T0) == 1
    assert log.note("observation", Refusal("camera_missing", "none", "front"), T0) == 1


def test_after_a_clock_went_back_everything_is_news():
    log = EventLog()
    log.note("observation", stale(), T0)
    assert log.note("observation", stale(), T0 - 1) == 1


def test_counts_are_by_reason_of_the_sources_that_are_asked_for():
    log = EventLog()
    for _ in range(3):
        log.note("observation", stale(), T0)
    log.note("gate", Refusal("workspace", "out"), T0)
    assert log.counts(("observation",)) == {"camera_stale": 3}
    assert log.counts(("gate", "arbiter")) == {"workspace": 1}


def test_what_happened_since():
    log = EventLog()
    for n in range(4):
        log.note("observation", stale(str(n)), T0 + n * MS)
    assert [event.subject for event in log.since(T0 + MS)] == ["2", "3"]


def test_threads_lose_no_count():
    log = EventLog()

    def note():
        for n in range(2000):
            log.note("observation", stale(), T0 + n)

    threads = [threading.Thread(target=note) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert log.total == 8000
