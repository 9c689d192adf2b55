"""crisp_controllers read neither names nor frames and never time out: the sender makes up."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_adapter_trajectory import NAMES, NOW, NS, plan_of, ramp, still

from labvla_policy.runtime.adapters.crisp import (
    crisp_trajectory,
    joint_setpoint,
    pose_setpoint,
    reference_after,
)
from labvla_policy.runtime.rotations import quaternion_of

TICK = 1_000_000


def turn_z(angle):
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])


def forward(q):
    pose = np.eye(4)
    pose[:3, :3] = turn_z(10 * q[0])
    pose[:3, 3] = q
    return pose


def test_setpoints_are_in_the_controllers_order_since_names_are_not_read():
    shuffled = plan_of(ramp()[:, [1, 2, 0]], names=("b", "c", "a"))
    trajectory = crisp_trajectory(shuffled, still(), NOW)
    assert trajectory.joint_names == NAMES
    assert joint_setpoint(trajectory, trajectory.end) == pytest.approx(ramp()[-1])


def test_a_new_plan_goes_on_from_the_last_setpoint():
    """A bare target is low-passed only: a jump of it is a jump of force."""
    first = crisp_trajectory(plan_of(ramp()), still(), NOW)
    later = NOW + 200_000_000
    reference = reference_after(first, later)
    second = crisp_trajectory(plan_of(ramp() + 0.08, start=later), reference, later)
    path = [joint_setpoint(first, t) for t in range(later - 50 * TICK, later, TICK)]
    path += [joint_setpoint(second, t) for t in range(later, later + 900 * TICK, TICK)]
    steps = np.abs(np.diff(path, axis=0)).max(axis=1)
    bends = np.abs(np.diff(path, 2, axis=0)).max(axis=1)
    assert steps.max() < 1.5e-3
    assert bends.max() < 1e-5  # rad per ms^2: 10 rad/s^2


def test_the_plans_end_is_held_at_rest_for_ever():
    trajectory = crisp_trajectory(plan_of(ramp()), still(), NOW)
    for seconds in (0, 1, 100):
        at = joint_setpoint(trajectory, trajectory.end + seconds * NS)
        assert at == pytest.approx(ramp()[-1])
    assert not np.any(reference_after(trajectory, trajectory.end + NS).velocities)


def test_quaternions_never_turn_the_long_way_round():
    trajectory = crisp_trajectory(plan_of(ramp(40, (0.6, 0, 0))), still(), NOW)
    previous = None
    for t in range(NOW, trajectory.end, 10 * TICK):
        position, quaternion = pose_setpoint(trajectory, t, forward, previous)
        assert np.linalg.norm(quaternion) == pytest.approx(1.0)
        assert position == pytest.approx(joint_setpoint(trajectory, t))
        if previous is not None:
            assert quaternion @ previous > 0.9
        previous = quaternion
    assert previous[3] < 0.0, "the turn was too small to need it"


@given(st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(lambda q: np.linalg.norm(q) > 0.1))
def test_quaternion_of_undoes_a_rotation(values):
    x, y, z, w = q = np.array(values) / np.linalg.norm(values)
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    assert abs(quaternion_of(rotation) @ q) == pytest.approx(1.0)
