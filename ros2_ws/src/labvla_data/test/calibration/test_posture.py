"""A picture counts only with joint states of its own moment, from an arm that stands still."""

import numpy as np
import pytest

from labvla_data.calibration.detection import UnusableError
from labvla_data.calibration.posture import JointSample, joints_at

NAMES = ("shoulder", "elbow")
MILLISECOND = 1_000_000
NOW = 10**12


def samples(begin, end, speed=0.0, period=10):
    """Samples every 10 ms, from and to so many ms around now; the elbow moves at rad/s."""
    return [
        JointSample(NOW + t * MILLISECOND, np.array([1.0, 2.0 + speed * t / 1000]))
        for t in range(begin, end, period)
    ]


def test_a_standing_arm_is_averaged():
    assert joints_at(NOW, NAMES, samples(-400, 100)) == pytest.approx([1.0, 2.0])


def test_a_moving_joint_is_named():
    with pytest.raises(UnusableError, match="the arm moves: elbow by"):
        joints_at(NOW, NAMES, samples(-400, 100, speed=0.05))


@pytest.mark.parametrize(("begin", "end"), [(-900, -100), (200, 400)])
def test_stale_joint_states_are_refused_with_their_distance(begin, end):
    with pytest.raises(UnusableError, match=r"stale: the nearest is \d+ ms away"):
        joints_at(NOW, NAMES, samples(begin, end))


def test_a_single_sample_does_not_tell_that_an_arm_stands():
    with pytest.raises(UnusableError, match="whether the arm stood still is not known"):
        joints_at(NOW, NAMES, samples(-10, 10))


def test_no_joint_states_at_all_are_told():
    with pytest.raises(UnusableError, match="no joint states"):
        joints_at(NOW, NAMES, [])
