"""A state of the controller is taken by joint name, and refused where it is of no use."""

import pytest

from labvla_msgs.msg import ControllerState
from labvla_policy.nodes.controller_link import reference_of
from labvla_policy.runtime.reference import Mode
from labvla_policy.runtime.refusal import Refused

JOINTS = ("b", "a")


def state(**changes):
    fields = {
        "mode": ControllerState.TRACKING,
        "joint_names": ["a", "b", "other"],
        "reference_positions": [1.0, 2.0, 9.0],
        "reference_velocities": [0.1, 0.2, 9.0],
        "measured_positions": [1.1, 2.1, 9.0],
        "plan_remaining": 0.5,
    }
    return ControllerState(**{**fields, **changes})


def test_columns_go_by_name():
    reference = reference_of(state(), JOINTS)
    assert list(reference.positions) == [2.0, 1.0]
    assert list(reference.velocities) == [0.2, 0.1]
    assert list(reference.measured) == [2.1, 1.1]
    assert (reference.mode, reference.remaining) == (Mode.TRACKING, 500_000_000)


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"joint_names": ["a", "c", "other"]}, "there is no b"),
        ({"joint_names": []}, "there is no b, a"),
        ({"mode": 77}, "got 77"),
        ({"measured_positions": []}, "expected 3 measured_positions"),
        ({"reference_velocities": [0.1]}, "expected 3 reference_velocities"),
        ({"reference_positions": [1.0, float("nan"), 0.0]}, "not all are finite"),
    ],
)
def test_what_is_of_no_use_is_refused(changes, detail):
    with pytest.raises(Refused, match=detail) as refused:
        reference_of(state(**changes), JOINTS)
    assert refused.value.refusal.reason == "controller_state"
