"""A bag that was cut off or damaged is readable again, and says what it lacks."""

import random
import subprocess
import sys
from pathlib import Path

import pytest
from bag_support import (
    BEGIN,
    SECOND,
    chunk_ends,
    read_with_mcap,
    read_with_rosbags,
    write_bag,
)

from labvla_data.bag.errors import BagError
from labvla_data.bag.mcap_file import COMPRESSIONS
from labvla_data.bag.repair import is_sound, is_whole, repair


def assert_kept(bag, before):
    """After a repair both readers agree, and nothing is missing but the end."""
    path = next(bag.glob("*.mcap"))
    kept = read_with_mcap(path)
    assert sorted(read_with_rosbags(bag)) == sorted(kept)
    assert set(kept) <= set(before)
    for topic in ("/states", "/camera"):
        had = [time for t, time, _ in before if t == topic]
        has = [time for t, time, _ in kept if t == topic]
        assert has == had[: len(has)]
    return kept


def test_a_whole_bag_is_whole(tmp_path):
    path = write_bag(tmp_path / "bag", 1.0).path
    assert is_whole(path)
    assert is_sound(path)
    before = path.read_bytes()
    mended = repair(path)
    assert path.read_bytes() == before
    assert (mended.cut_bytes, mended.damaged_chunks) == (0, 0)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_an_unfinished_bag_loses_nothing_that_was_flushed(tmp_path, compression):
    writer = write_bag(tmp_path / "bag", 2.0, compression, finish=False)
    flushed = writer.messages
    writer.close()
    assert not is_whole(writer.path)
    mended = repair(tmp_path / "bag")
    kept = read_with_mcap(mended.path)
    assert len(kept) == flushed == mended.summary.messages
    assert mended.cut_bytes == 0
    assert sorted(read_with_rosbags(tmp_path / "bag")) == sorted(kept)


def assert_truncations_cost_one_chunk(folder, times, seed):
    """Cut a bag at random places: what ended half a second before the cut is always kept."""
    random.seed(seed)
    whole = write_bag(folder / "whole", 3.0)
    before = read_with_mcap(whole.path)
    data = whole.path.read_bytes()
    metadata = (folder / "whole" / "metadata.yaml").read_bytes()
    ends = chunk_ends(data)
    sizes = [0, 1, 8, 20, *(random.randrange(len(data)) for _ in range(times - 4))]
    for number, size in enumerate(sizes):
        bag = folder / f"cut{number}"
        bag.mkdir()
        path = bag / "bag_0.mcap"
        path.write_bytes(data[:size])
        (bag / "metadata.yaml").write_bytes(metadata)
        mended = repair(bag)
        kept = assert_kept(bag, before)
        assert len(kept) == max((n for end, n in ends if end <= size), default=0)
        assert mended.summary.messages == len(kept)
        assert is_sound(path)


def test_truncations_at_random_places_cost_one_chunk(tmp_path):
    assert_truncations_cost_one_chunk(tmp_path, 24, seed=1)


@pytest.mark.long
def test_200_truncations_at_random_places_cost_one_chunk(tmp_path):
    assert_truncations_cost_one_chunk(tmp_path, 200, seed=2)


def test_a_damaged_chunk_in_the_middle_is_left_out_and_counted(tmp_path):
    path = write_bag(tmp_path / "bag", 3.0).path
    before = read_with_mcap(path)
    data = bytearray(path.read_bytes())
    data[chunk_ends(data)[2][0] - 100] ^= 0xFF
    path.write_bytes(data)
    assert is_whole(path)
    assert not is_sound(path)
    mended = repair(path)
    kept = read_with_mcap(path)
    assert mended.damaged_chunks == 1
    assert 0 < mended.cut_bytes < len(data)
    assert len(before) - len(kept) == 55  # half a second of states and pictures
    assert set(kept) < set(before)
    assert kept[0][1] == BEGIN
    assert kept[-1][1] > BEGIN + 2 * SECOND
    assert sorted(read_with_rosbags(tmp_path / "bag")) == sorted(kept)


def test_a_damaged_index_costs_nothing(tmp_path):
    path = write_bag(tmp_path / "bag", 3.0).path
    before = read_with_mcap(path)
    data = bytearray(path.read_bytes())
    data[chunk_ends(data)[2][0] + 100] ^= 0xFF
    path.write_bytes(data)
    assert not is_sound(path)
    mended = repair(path)
    assert (mended.cut_bytes, mended.damaged_chunks) == (0, 0)
    assert read_with_mcap(path) == before


def test_zeros_that_a_power_cut_left_are_cut_off(tmp_path):
    writer = write_bag(tmp_path / "bag", 2.0, finish=False)
    flushed = writer.messages
    writer.close()
    with writer.path.open("ab") as file:
        file.write(bytes(100_000))
    mended = repair(tmp_path / "bag")
    assert mended.summary.messages == flushed
    assert mended.cut_bytes == 100_000


def test_random_bytes_never_break_the_repair(tmp_path):
    data = bytearray(write_bag(tmp_path / "bag", 1.0).path.read_bytes())
    path = tmp_path / "bag" / "bag_0.mcap"
    random.seed(3)
    for _ in range(40):
        spoiled = bytearray(data)
        at = random.randrange(8, len(data) - 100)
        spoiled[at : at + 50] = random.randbytes(50)
        path.write_bytes(spoiled)
        repair(path)
        assert is_sound(path)
        assert sorted(read_with_rosbags(tmp_path / "bag")) == sorted(read_with_mcap(path))


def test_a_bag_that_is_being_recorded_is_left_alone(tmp_path):
    writer = write_bag(tmp_path / "bag", 0.5, finish=False)
    with pytest.raises(BagError, match="being recorded"):
        repair(tmp_path / "bag")
    writer.finish()
    writer.close()
    assert len(read_with_mcap(writer.path)) == 55


def test_without_room_for_the_copy_the_bag_stays_as_it_is(tmp_path):
    writer = write_bag(tmp_path / "bag", 2.0, finish=False)
    writer.close()
    before = writer.path.read_bytes()
    script = (
        "import resource, sys; from pathlib import Path; from labvla_data.bag.repair import repair;"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({len(before) // 2},) * 2);"
        "repair(Path(sys.argv[1]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "bag")],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "The bag was left as it is" in done.stderr
    assert writer.path.read_bytes() == before
    names = sorted(path.name for path in (tmp_path / "bag").iterdir())
    assert names == ["bag_0.mcap", "metadata.yaml"]


def test_an_interrupted_repair_leaves_the_bag_as_it_is(tmp_path):
    writer = write_bag(tmp_path / "bag", 2.0, finish=False)
    writer.close()
    before = writer.path.read_bytes()

    def interrupt(done, of):
        if done > of // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        repair(tmp_path / "bag", interrupt)
    assert writer.path.read_bytes() == before
    assert [path.name for path in (tmp_path / "bag").glob("*mcap*")] == ["bag_0.mcap"]
    repair(tmp_path / "bag")
    assert is_sound(writer.path)


def test_something_that_is_no_bag_is_named():
    with pytest.raises(BagError, match=r"one \.mcap file, got 0"):
        repair(Path("/tmp"))
