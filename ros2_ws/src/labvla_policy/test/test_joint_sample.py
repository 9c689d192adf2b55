"""Joint positions are taken by name, or refused by name."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labvla_policy.runtime.joint_sample import select_positions
from labvla_policy.runtime.refusal import Refused

WANTED = ("a", "b", "c")


@given(st.permutations(["a", "b", "c", "finger", "other"]))
def test_order_and_company_do_not_matter(names):
    positions = [float(ord(name[0])) for name in names]
    np.testing.assert_array_equal(select_positions(names, positions, WANTED), [97, 98, 99])


@pytest.mark.parametrize(
    ("names", "positions", "reason", "joint"),
    [
        (["a", "b"], [0.0, 0.0], "joint_missing", "c"),
        ([], [], "joint_missing", "a"),
        (["a", "b", "c", "b"], [0.0, 0.0, 0.0, 1.0], "joint_duplicated", "b"),
        (["a", "b", "c", "x", "x"], [0.0] * 5, "joint_duplicated", "x"),
        (["a", "b", "c"], [0.0, 0.0], "joint_state_width", ""),
        (["a", "b", "c"], [0.0, np.nan, 0.0], "joint_not_finite", "b"),
        (["a", "b", "c"], [0.0, 0.0, np.inf], "joint_not_finite", "c"),
    ],
)
def test_refusals(names, positions, reason, joint):
    with pytest.raises(Refused) as refused:
        select_positions(names, positions, WANTED)
    refusal = refused.value.refusal
    assert (refusal.source, refusal.reason, refusal.subject) == ("observation", reason, joint)


def test_not_a_number_in_another_joint_is_none_of_our_business():
    names = ["a", "b", "c", "finger"]
    np.testing.assert_array_equal(select_positions(names, [1, 2, 3, np.nan], WANTED), [1, 2, 3])
