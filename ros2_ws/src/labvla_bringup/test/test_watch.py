"""What is watched from outside, against what was recorded."""

import pytest

from labvla_bringup.watch import Watch


class Listened(Watch):
    """Has heard some chunks, without a graph."""

    def __init__(self, sequences):
        self._sequences = list(sequences)


@pytest.mark.parametrize(
    ("heard", "recorded", "all_there"),
    [
        ([1, 2, 3], {1, 2, 3}, True),
        ([2, 3], {1, 2, 3}, True),  # the watch was discovered late
        ([1, 2, 3], {2, 3}, True),  # the recorder was
        ([1, 2, 3], {1, 3}, False),
        ([1, 2, 3], {1, 2}, False),
        ([1, 2], {1, 2, 3}, False),
        ([], {1}, False),
        ([1], set(), False),
    ],
)
def test_no_chunk_may_be_missing_once_both_hear_any(heard, recorded, all_there):
    assert Listened(heard).heard_all(recorded) is all_there
