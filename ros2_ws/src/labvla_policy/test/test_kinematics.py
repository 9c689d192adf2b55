"""Forward kinematics against poses that can be worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labvla_policy.runtime.kinematics import CHAINS, FR3, UR5E


def test_fr3_stretched_up():
    pose = FR3.forward(np.zeros(7))
    # Elbow offsets cancel; the wrist's 88 mm stay, and the flange looks down.
    np.testing.assert_allclose(pose[:3, 3], [0.088, 0.0, 0.333 + 0.316 + 0.384 - 0.107], atol=1e-12)
    np.testing.assert_allclose(pose[:3, 2], [0, 0, -1], atol=1e-12)


def test_fr3_home():
    home = [0, -np.pi / 4, 0, -3 * np.pi / 4, 0, np.pi / 2, np.pi / 4]
    pose = FR3.forward(home)
    shoulder = np.array([0.0, 0.333])
    up, out = np.array([-1, 1]) / np.sqrt(2), np.array([1, 1]) / np.sqrt(2)
    elbow = shoulder + 0.316 * up + 0.0825 * out
    # joint 4 folds by 135 degrees: the forearm is level, its offset hangs down
    wrist = elbow + np.array([0.384, 0.0825])
    flange = wrist + np.array([0.088, -0.107])
    np.testing.assert_allclose(pose[[0, 2], 3], flange, atol=1e-9)
    np.testing.assert_allclose(pose[:3, 2], [0, 0, -1], atol=1e-9)


def test_ur5e_stretched_out():
    pose = UR5E.forward(np.zeros(6))
    # In its own base frame the arm points along -x and the tool along -y; base_link is turned.
    np.testing.assert_allclose(
        pose[:3, 3], [0.425 + 0.3922, 0.1333 + 0.0996, 0.1625 - 0.0997], atol=1e-9
    )


@pytest.mark.parametrize("kind", sorted(CHAINS))
@given(seed=st.integers(0, 2**32 - 1))
def test_jacobian_is_the_derivative(kind, seed):
    chain = CHAINS[kind]
    source = np.random.default_rng(seed)
    q = source.uniform(-2, 2, chain.joints)
    tool = np.eye(4)
    tool[:3, 3] = source.uniform(-0.2, 0.2, 3)
    jacobian = chain.jacobian(q, tool)
    step = 1e-6
    for joint in range(chain.joints):
        moved = q.copy()
        moved[joint] += step
        before, after = chain.forward(q) @ tool, chain.forward(moved) @ tool
        np.testing.assert_allclose(
            (after[:3, 3] - before[:3, 3]) / step, jacobian[:3, joint], atol=1e-5
        )
        turn = (after[:3, :3] - before[:3, :3]) @ before[:3, :3].T / step
        np.testing.assert_allclose(
            [turn[2, 1], turn[0, 2], turn[1, 0]], jacobian[3:, joint], atol=1e-5
        )


@pytest.mark.parametrize("kind", sorted(CHAINS))
def test_many_at_once_equal_one_by_one(kind):
    chain = CHAINS[kind]
    q = np.random.default_rng(1).uniform(-2, 2, (3, 5, chain.joints))
    together = chain.frames(q)
    for index in np.ndindex(3, 5):
        np.testing.assert_allclose(together[index], chain.frames(q[index]), atol=1e-12)
