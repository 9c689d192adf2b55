"""The chosen set has the least skew that any set could have, and is the newest such set."""

from dataclasses import dataclass
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from labvla_policy.runtime.observation.selection import least_skew, nearest

STREAM = st.lists(st.integers(0, 60), min_size=1, max_size=6, unique=True).map(sorted)


def spread(stamps):
    return max(stamps) - min(stamps)


@given(st.lists(STREAM, min_size=1, max_size=3), st.integers(0, 10))
def test_against_trying_all_sets(streams, slack):
    chosen = [stream[i] for stream, i in zip(streams, least_skew(streams, slack), strict=True)]
    every = list(product(*streams))
    least = min(map(spread, every))
    assert spread(chosen) <= least + slack
    assert max(chosen) == max(max(stamps) for stamps in every if spread(stamps) <= least + slack)


def test_without_cameras_nothing_is_chosen():
    assert least_skew([], 5) == ()


def test_slack_prefers_the_newer_set():
    assert least_skew([[0, 33], [1, 36]], slack=0) == (0, 0)
    assert least_skew([[0, 33], [1, 36]], slack=2) == (1, 1)


@dataclass
class At:
    stamp: int


@given(STREAM, st.integers(-10, 70))
def test_nearest(stamps, moment):
    found = stamps[nearest([At(stamp) for stamp in stamps], moment)]
    least = min(abs(stamp - moment) for stamp in stamps)
    assert found == max(stamp for stamp in stamps if abs(stamp - moment) == least)
