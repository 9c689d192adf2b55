"""A bag describes its message types completely: another library computes the same hash of them."""

import pytest
from bag_support import official_hash
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from labvla_data.bag.definitions import DefinitionError, definition
from labvla_data.recording.streams import streams_of
from labvla_policy.runtime.cell import load_cell


def recorded_types():
    cells = [load_cell(name) for name in ("franka", "ur5e", "dual_arm", "dual_franka")]
    return sorted({stream.kind for cell in cells for stream in streams_of(cell)})


@pytest.mark.parametrize("kind", recorded_types())
def test_the_definition_has_the_hash_of_the_type(kind):
    store = get_typestore(Stores.EMPTY)
    store.register(get_types_from_msg(definition(kind), kind))
    assert store.hash_rihs01(kind) == official_hash(kind)


def test_parts_are_described_once_and_in_order():
    text = definition(
        "a/msg/Root",
        {
            "a/msg/Root": "Part[] parts  # Unknown in a comment\nother/Thing[<=3] t\nstring<=5 s\n",
            "a/msg/Part": "other/msg/Thing t\nuint8 KIND=1\n",
            "other/msg/Thing": "float64[9] k\n",
        }.__getitem__,
    )
    assert text.split("\n" + "=" * 80 + "\n") == [
        "Part[] parts  # Unknown in a comment\nother/Thing[<=3] t\nstring<=5 s\n",
        "MSG: a/Part\nother/msg/Thing t\nuint8 KIND=1\n",
        "MSG: other/Thing\nfloat64[9] k\n",
    ]


def test_an_unknown_type_is_named():
    with pytest.raises(DefinitionError, match="sensor_msgs/msg/Smell"):
        definition("sensor_msgs/msg/Smell")
    with pytest.raises(DefinitionError, match="no_such_package/msg/Image"):
        definition("no_such_package/msg/Image")
