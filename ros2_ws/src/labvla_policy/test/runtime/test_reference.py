"""What the controller has said about its reference."""

import numpy as np
from runtime_support import MS, T0

from labvla_policy.runtime.reference import MEMORY, STALE, Reference, ReferenceHistory


def history_of(*stamps):
    """Joint 1 is where its stamp says, in seconds since T0."""
    history = ReferenceHistory()
    for stamp in stamps:
        history.add(Reference(stamp, np.array([(stamp - T0) / 1e9, 1.0]), np.zeros(2), 0))
    return history


def test_nothing_is_known_at_first():
    history = ReferenceHistory()
    assert history.newest(T0) is None
    assert history.recent(T0) == ()
    assert history.positions_at(T0) is None


def test_positions_between_two_states_are_interpolated_and_held_outside():
    history = history_of(T0, T0 + 20 * MS)
    for asked, expected in ((5, 0.005), (-100, 0.0), (100, 0.02)):
        np.testing.assert_allclose(history.positions_at(T0 + asked * MS), [expected, 1.0])


def test_a_silent_controller_says_nothing_about_now():
    history = history_of(T0)
    assert history.newest(T0 + STALE).stamp == T0
    assert history.newest(T0 + STALE + 1) is None
    assert history.recent(T0 + STALE + 1) == ()


def test_a_clock_that_was_set_back_begins_anew():
    earlier = T0 - 500 * MS
    history = history_of(T0, T0 + 20 * MS, earlier)
    assert [state.stamp for state in history.recent(earlier)] == [earlier]


def test_memory_is_bounded():
    history = history_of(*(T0 + n * MS for n in range(3 * MEMORY)))
    assert len(history.recent(T0 + 3 * MEMORY * MS)) == MEMORY
