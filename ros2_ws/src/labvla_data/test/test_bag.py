"""Bags are what rosbag2 writes: other readers find every message, bit for bit."""

import pytest
import yaml
from bag_support import BEGIN, SECOND, picture, read_with_mcap, read_with_rosbags, state, write_bag

from labvla_data.bag.errors import BagError
from labvla_data.bag.mcap_file import COMPRESSIONS
from labvla_data.bag.reader import BagReader


def expected(seconds):
    """What write_bag writes, in the order of the log times."""
    messages = []
    for number in range(round(seconds * 100)):
        stamp = BEGIN + number * SECOND // 100
        messages.append(("/states", stamp, state(stamp, number)))
        if number % 10 == 0:
            messages.append(("/camera", stamp, picture(stamp, number, 16)))
    return sorted(messages)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_other_readers_find_every_message(tmp_path, compression):
    bag = tmp_path / "bag"
    writer = write_bag(bag, 2.0, compression)
    assert sorted(read_with_mcap(writer.path)) == expected(2.0)
    assert sorted(read_with_rosbags(bag)) == expected(2.0)


def test_our_reader_finds_them_too(tmp_path):
    write_bag(tmp_path / "bag", 2.0, "zstd")
    with BagReader(tmp_path / "bag") as reader:
        assert [(t.name, t.messages) for t in reader.topics] == [("/states", 200), ("/camera", 20)]
        assert sorted((m.topic, m.log_time, m.data) for m in reader.messages()) == expected(2.0)
        first = next(reader.messages(name for name in ("/camera",)))
        assert (first.kind, first.sequence) == ("sensor_msgs/msg/Image", 0)
        assert first.publish_time == BEGIN - 1000
        late = [m.log_time for m in reader.messages(["/states"], begin=BEGIN + SECOND)]
        assert late[0] == BEGIN + SECOND
        assert len(late) == 100


def test_the_metadata_say_what_the_file_holds(tmp_path):
    write_bag(tmp_path / "bag", 2.0)
    text = (tmp_path / "bag" / "metadata.yaml").read_text()
    assert "&" not in text  # rosbag2 follows no references
    info = yaml.safe_load(text)["rosbag2_bagfile_information"]
    assert (info["version"], info["storage_identifier"]) == (9, "mcap")
    assert info["message_count"] == 220
    assert info["starting_time"]["nanoseconds_since_epoch"] == BEGIN
    assert info["duration"]["nanoseconds"] == 199 * SECOND // 100
    assert info["relative_file_paths"] == ["bag_0.mcap"]
    assert info["custom_data"] == {"made_by": "a test"}
    topic = info["topics_with_message_count"][1]
    assert topic["message_count"] == 20
    assert topic["topic_metadata"]["offered_qos_profiles"][0]["reliability"] == "best_effort"


def test_the_metadata_are_there_from_the_start(tmp_path):
    writer = write_bag(tmp_path / "bag", 0.2, finish=False)
    info = yaml.safe_load((tmp_path / "bag" / "metadata.yaml").read_text())
    assert info["rosbag2_bagfile_information"]["relative_file_paths"] == [writer.path.name]
    writer.close()


def test_an_unfinished_bag_says_how_to_repair_it(tmp_path):
    write_bag(tmp_path / "bag", 0.2, finish=False).close()
    with pytest.raises(BagError, match="labvla record --repair"):
        BagReader(tmp_path / "bag")


def test_a_folder_without_a_bag_is_named(tmp_path):
    with pytest.raises(BagError, match=r"one \.mcap file, got 0"):
        BagReader(tmp_path)


def test_a_bag_without_messages_can_be_read(tmp_path):
    writer = write_bag(tmp_path / "bag", 0.0)
    assert read_with_mcap(writer.path) == []
    assert read_with_rosbags(tmp_path / "bag") == []
    with BagReader(tmp_path / "bag") as reader:
        assert [topic.messages for topic in reader.topics] == [0, 0]
