"""A ring keeps what is newest, decodes it once, and accounts for every message."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from runtime_support import MS, T0, refusal_of

from labvla_policy.runtime.refusal import Refusal, Refused
from labvla_policy.runtime.streams.ring import Ring

PERIOD = 10 * MS


def ring_of(capacity=4, decode=lambda raw: raw, latency=0.0):
    return Ring(decode, rate=100, capacity=capacity, latency=latency)


def fill(ring, *numbers):
    for n in numbers:
        ring.push(n, T0 + n * PERIOD, n * PERIOD)


def test_keeps_the_newest_oldest_first():
    ring = ring_of(capacity=3)
    fill(ring, *range(10))
    assert [sample.raw for sample in ring.samples] == [7, 8, 9]
    assert ring.newest.raw == 9
    assert ring.counts.received == 10


def test_latency_is_subtracted_once():
    ring = ring_of(latency=0.025)
    ring.push("a", T0, 0)
    assert ring.newest.stamp == T0 - 25 * MS


@given(st.sets(st.integers(0, 200), min_size=2))
def test_gaps_between_stamps_are_losses(arrived):
    ring = ring_of()
    fill(ring, *sorted(arrived))
    assert ring.counts.lost == max(arrived) - min(arrived) + 1 - len(arrived)


@given(st.lists(st.integers(-2 * MS, 2 * MS), min_size=2, max_size=50))
def test_jitter_is_no_loss(jitters):
    ring = ring_of()
    for n, jitter in enumerate(jitters):
        assert ring.push(n, T0 + n * PERIOD + jitter, n * PERIOD)
    assert ring.counts.lost == 0


def test_only_unused_samples_count_as_overwritten():
    ring = ring_of(capacity=2)
    fill(ring, 0, 1)
    ring.value(ring.newest)
    fill(ring, 2, 3)
    assert ring.counts.overwritten == 1


def test_decodes_lazily_and_once():
    calls = []
    ring = ring_of(decode=lambda raw: calls.append(raw) or f"<{raw}>")
    fill(ring, 1, 2)
    assert calls == []
    assert [ring.value(ring.newest) for _ in range(3)] == ["<2>"] * 3
    assert calls == [2]


def test_a_sample_that_cannot_be_decoded_is_counted_once():
    def refuse(raw):
        raise Refused(Refusal("image_corrupt", "broken"))

    ring = ring_of(decode=refuse)
    fill(ring, 1)
    for _ in range(3):
        assert refusal_of(lambda: ring.value(ring.newest)).reason == "image_corrupt"
    assert ring.counts.refused == {"image_corrupt": 1}


@pytest.mark.parametrize("step", [0, -1, -PERIOD])
def test_stamps_must_rise(step):
    ring = ring_of()
    fill(ring, 1)
    assert not ring.push("late", T0 + PERIOD + step, 2 * PERIOD)
    assert [sample.raw for sample in ring.samples] == [1]
    assert ring.counts.refused == {"stamp_order": 1}


@pytest.mark.parametrize("jump", [-10_000 * MS, 10_000 * MS])
def test_a_clock_that_was_set_begins_a_new_history(jump):
    ring = ring_of()
    fill(ring, 1, 2)
    assert ring.push("new", T0 + 3 * PERIOD + jump, 3 * PERIOD)
    assert [sample.raw for sample in ring.samples] == ["new"]
    assert ring.counts.clock_jumps == 1
    assert ring.counts.lost == 0


def test_an_outage_is_a_loss_and_no_clock_jump():
    ring = ring_of()
    fill(ring, 1, 1001)
    assert (ring.counts.clock_jumps, ring.counts.lost) == (0, 999)


def test_a_paused_source_loses_nothing():
    ring = ring_of()
    ring.push(1, T0, 0)
    ring.push(2, T0 + PERIOD, 60_000 * MS)  # a simulation stood still for a minute
    assert (ring.counts.clock_jumps, ring.counts.lost) == (0, 0)


def test_readers_see_a_consistent_history_while_the_writer_writes():
    ring = ring_of(capacity=8, decode=lambda raw: raw * 2)
    wrong = []
    done = threading.Event()

    def read():
        while not done.is_set():
            samples = ring.samples
            numbers = [sample.raw for sample in samples]
            if numbers != list(range(numbers[0], numbers[0] + len(numbers))) if numbers else False:
                wrong.append(numbers)
            wrong.extend(s.raw for s in samples if ring.value(s) != s.raw * 2)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    fill(ring, *range(20_000))
    done.set()
    for reader in readers:
        reader.join()
    assert wrong == []
    assert ring.counts.received == 20_000
