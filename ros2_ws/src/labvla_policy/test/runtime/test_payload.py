"""A robot knows what hangs on it: at the start, after every stop, and when it grips."""

import pytest

from labvla_policy.runtime.cell.arm import Payload
from labvla_policy.runtime.recovery.payload import PATIENCE, PayloadKeeper
from labvla_policy.runtime.types import NANOSECONDS

EMPTY = Payload(mass=0.9, com=(0, 0, 0.05))
HELD = Payload(mass=1.4, com=(0, 0, 0.09))
LATER = round((PATIENCE + 0.1) * NANOSECONDS)


@pytest.fixture
def keeper():
    return PayloadKeeper(EMPTY, HELD)


def test_it_is_told_once_it_can_move_and_after_every_stop(keeper):
    assert keeper.due(True, 0) is None
    assert keeper.due(False, 1) == EMPTY
    keeper.answered(True)
    assert keeper.due(False, LATER) is None
    keeper.due(True, LATER)
    assert keeper.due(False, LATER + 1) == EMPTY


def test_what_is_held_counts_from_the_grasp_until_it_is_let_go(keeper):
    keeper.due(False, 0)
    keeper.answered(True)
    keeper.grip(True)
    assert keeper.due(False, LATER) == HELD
    keeper.answered(True)
    keeper.grip(False)
    assert keeper.due(False, 2 * LATER) == EMPTY


def test_without_a_held_payload_a_grasp_changes_nothing():
    keeper = PayloadKeeper(EMPTY, None)
    keeper.due(False, 0)
    keeper.answered(True)
    keeper.grip(True)
    assert keeper.due(False, LATER) is None


@pytest.mark.parametrize("answer", [False, None])
def test_what_was_refused_or_never_answered_is_told_again_but_not_at_once(keeper, answer):
    assert keeper.due(False, 0) == EMPTY
    if answer is not None:
        keeper.answered(answer)
    assert keeper.due(False, 1) is None
    assert keeper.due(False, LATER) == EMPTY
