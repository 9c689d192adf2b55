"""Distances against dense sampling, and the degenerate cases by name."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labvla_policy.runtime.gate.distance import segment_box_apart, segments_apart

COORDINATE = st.floats(-1, 1).map(lambda x: round(x, 3))
POINT = st.tuples(COORDINATE, COORDINATE, COORDINATE).map(np.array)
GRID = np.linspace(0, 1, 101)


def along(start, end):
    return start + GRID[:, np.newaxis] * (end - start)


@settings(deadline=None)
@given(POINT, POINT, POINT, POINT)
def test_segments_against_sampling(a, b, c, d):
    sampled = np.linalg.norm(along(a, b)[:, np.newaxis] - along(c, d), axis=2).min()
    exact = segments_apart(a, b, c, d)
    step = (np.linalg.norm(b - a) + np.linalg.norm(d - c)) / 200
    assert sampled - step - 1e-9 <= exact <= sampled + 1e-9


@settings(deadline=None)
@given(POINT, POINT, POINT, POINT)
def test_box_against_sampling(a, b, corner, other):
    lower, upper = np.minimum(corner, other), np.maximum(corner, other)
    points = along(a, b)
    sampled = np.linalg.norm(points - np.clip(points, lower, upper), axis=1).min()
    exact = segment_box_apart(a, b, lower, upper)
    assert sampled - np.linalg.norm(b - a) / 200 - 1e-9 <= exact <= sampled + 2e-4


ZERO = np.zeros(3)
X, Y, Z = np.eye(3)


@pytest.mark.parametrize(
    ("segments", "distance"),
    [
        ((ZERO, X, ZERO, X), 0.0),  # the same
        ((ZERO, X, Y, X + Y), 1.0),  # parallel
        ((ZERO, X, 3 * X, 5 * X), 2.0),  # on one line
        ((ZERO, X, X / 2 - Y, X / 2 + Y), 0.0),  # crossing
        ((ZERO, X, X / 2 - Y + Z, X / 2 + Y + Z), 1.0),  # skew
        ((ZERO, ZERO, Y, Y), 1.0),  # points
        ((ZERO, ZERO, X - Y, X + Y), 1.0),  # a point and a segment
    ],
)
def test_segments_by_name(segments, distance):
    assert segments_apart(*segments) == pytest.approx(distance, abs=1e-9)


def test_many_at_once_equal_one_by_one():
    points = np.random.default_rng(0).uniform(-1, 1, (4, 30, 3))
    together = segments_apart(*points)
    boxes = np.sort(points[2:], axis=0)
    near = segment_box_apart(points[0], points[1], boxes[0], boxes[1])
    for i in range(30):
        assert together[i] == pytest.approx(segments_apart(*points[:, i]))
        one = segment_box_apart(points[0, i], points[1, i], boxes[0, i], boxes[1, i])
        assert near[i] == pytest.approx(one)
