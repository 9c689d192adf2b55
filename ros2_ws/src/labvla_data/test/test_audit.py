"""The ledger's arithmetic: what a sender knows to be lost, the receiver finds out by itself."""

import pytest
from bag_support import BEGIN, SECOND
from hypothesis import given, settings
from hypothesis import strategies as st

from labvla_data.recording.audit import Audit
from labvla_data.recording.ledger import Ledger, as_json
from labvla_data.recording.streams import Stream

FATES = st.lists(st.sampled_from(["arrives", "lost", "not sent"]), min_size=1, max_size=80)
PERIOD = SECOND // 100


def arrivals(fates, jitter=0):
    """What becomes of a stream at 100 Hz that has such fates: (arrival, stamp, number)."""
    number = 0
    for step, fate in enumerate(fates):
        if fate == "not sent":
            continue
        number += 1
        if fate == "arrives":
            stamp = BEGIN + step * PERIOD + (jitter if step % 2 else 0)
            yield stamp + PERIOD // 2, stamp, number


def between(fates, what):
    """How often something happened between the first and the last arrival."""
    first = fates.index("arrives")
    last = len(fates) - fates[::-1].index("arrives")
    return fates[first:last].count(what)


@settings(max_examples=200, deadline=None)
@given(fates=FATES, jitter=st.integers(0, PERIOD // 5))
def test_every_loss_is_found_and_put_down_to_its_cause(fates, jitter):
    fates = ["arrives", *fates, "arrives"]
    audit = Audit(100.0)
    found = [audit.arrived(a, s, "sender", n) for a, s, n in arrivals(fates, jitter)]
    assert sum(before.transport for before in found) == between(fates, "lost")
    assert sum(before.source for before in found) == between(fates, "not sent")


@settings(max_examples=100, deadline=None)
@given(fates=FATES)
def test_a_stream_without_a_rate_shows_what_was_lost_on_the_way(fates):
    fates = ["arrives", *fates, "arrives"]
    audit = Audit(None)
    found = [audit.arrived(a, None, "sender", n) for a, _, n in arrivals(fates)]
    assert sum(before.transport for before in found) == between(fates, "lost")
    assert sum(before.source for before in found) == 0


def test_two_publishers_of_a_topic_are_told_apart():
    audit = Audit(None)
    for number in range(1, 50):
        assert audit.arrived(0, None, "one", number).transport == 0
        assert audit.arrived(0, None, "other", 1000 + number).transport == 0
    assert audit.arrived(0, None, "one", 52).transport == 2


def test_a_publisher_that_starts_again_has_lost_nothing_on_the_way():
    audit = Audit(100.0)
    audit.arrived(BEGIN, BEGIN, "first life", 500)
    before = audit.arrived(BEGIN + SECOND, BEGIN + SECOND, "second life", 1)
    assert (before.transport, before.source) == (0, 99)


def test_without_numbers_gaps_are_put_down_to_the_source():
    audit = Audit(100.0)
    audit.arrived(BEGIN, BEGIN, None, None)
    before = audit.arrived(BEGIN + 5 * PERIOD, BEGIN + 5 * PERIOD, None, None)
    assert (before.transport, before.source) == (0, 4)


@pytest.mark.parametrize("jump", [-10 * SECOND, 10 * SECOND])
def test_a_clock_that_is_set_is_no_loss(jump):
    audit = Audit(100.0)
    audit.arrived(BEGIN, BEGIN, "sender", 1)
    before = audit.arrived(BEGIN + PERIOD, BEGIN + PERIOD + jump, "sender", 2)
    assert before.jumped
    assert (before.transport, before.source) == (0, 0)


def test_stamps_that_go_backwards_are_counted():
    audit = Audit(100.0)
    audit.arrived(BEGIN, BEGIN, "sender", 1)
    assert audit.arrived(BEGIN + PERIOD, BEGIN - PERIOD, "sender", 2).backwards


def closed_entry(arrivals, begin, end, rate=100.0):
    ledger = Ledger([Stream("/states", "k", rate)], begin)
    audit = Audit(rate)
    for arrival in arrivals:
        before = audit.arrived(arrival, arrival if rate else None, "sender", None)
        ledger.tallies[0].count(arrival, arrival if rate else None, before)
    ledger.tallies[0].written = len(arrivals)
    (entry,) = ledger.closed(end)
    return entry


def times(begin, end):
    return [BEGIN + n * PERIOD for n in range(round(begin * 100), round(end * 100))]


def test_a_stream_that_dies_during_an_episode_has_lost_the_rest():
    entry = closed_entry(times(0, 2), BEGIN, BEGIN + 5 * SECOND)
    assert entry.lost_source == pytest.approx(300, abs=2)


def test_a_stream_that_comes_late_has_lost_the_beginning():
    entry = closed_entry(times(2, 5), BEGIN, BEGIN + 5 * SECOND)
    assert entry.lost_source == pytest.approx(200, abs=2)


def test_a_stream_that_never_comes_has_lost_everything():
    entry = closed_entry([], BEGIN, BEGIN + 5 * SECOND)
    assert entry.lost_source == 500
    assert entry.rate is None


def test_a_topic_that_comes_when_it_likes_has_lost_nothing_by_silence():
    assert closed_entry(times(2, 3), BEGIN, BEGIN + 5 * SECOND, rate=None).lost == 0


def test_the_measured_rate_and_the_largest_gap_are_told():
    entry = closed_entry([*times(0, 1), *times(1.5, 3)], BEGIN, BEGIN + 3 * SECOND)
    assert entry.rate == pytest.approx(83.4, abs=0.5)
    assert entry.largest_gap == pytest.approx(0.51)
    assert entry.lost_source == 50


def test_what_was_lost_before_the_first_message_is_not_the_episodes():
    ledger = Ledger([Stream("/states", "k", None)], BEGIN)
    audit = Audit(None)
    audit.arrived(BEGIN, None, "sender", 1)
    for number in (10, 11, 13):
        ledger.tallies[0].count(BEGIN, None, audit.arrived(BEGIN, None, "sender", number))
    assert ledger.now()[0].lost_transport == 1


def test_the_ledger_in_episode_json_is_by_topic():
    ledger = Ledger([Stream("/a", "k"), Stream("/b", "k", 5.0)], BEGIN)
    value = as_json(ledger.now())
    assert list(value) == ["/a", "/b"]
    assert value["/b"]["nominal_rate"] == 5.0
