"""Which bags are repaired, and what their description says afterwards."""

import random
from collections import Counter

import pytest
from bag_support import (
    BEGIN,
    SECOND,
    chunk_ends,
    read_with_mcap,
    read_with_rosbags,
    write_bag,
)
from recorder_support import Rig

from labvla_data.bag.errors import BagError
from labvla_data.recording import mending, sidecar
from labvla_data.recording.mending import bags_in, mend, mend_all, needs_repair


def cut(path, share):
    """Cut a file off."""
    with path.open("r+b") as file:
        file.truncate(round(path.stat().st_size * share))


@pytest.fixture
def episode(tmp_path):
    """A finished episode of two seconds: 200 states, 20 pictures."""
    rig = Rig(tmp_path)
    rig.start()
    rig.run(2.0)
    return rig.finish()


def test_a_finished_episode_is_left_alone(episode):
    assert not needs_repair(episode.folder)
    report = mend(episode.folder)
    assert report.whole
    assert "nothing to repair" in report.text()
    assert sidecar.load(episode.folder) == episode.sidecar


def test_what_had_arrived_and_is_gone_is_in_the_ledger(episode):
    cut(episode.path, 0.0)
    assert needs_repair(episode.folder)
    report = mend(episode.folder)
    assert (report.messages, report.missing) == (0, 220)
    described = sidecar.load(episode.folder)
    assert described.state == "repaired"
    assert described.outcome == "success"  # what the operator said stays
    (note,) = described.repairs
    assert note["missing_messages"] == {"/camera": 20, "/states": 200}
    assert note["messages"] == 0
    assert described.ledger["/states"]["lost_writer"] == 200
    assert not needs_repair(episode.folder)


def test_seconds_that_were_safe_and_are_gone_are_told(tmp_path):
    rig = Rig(tmp_path)
    rig.start()
    rig.run(5.0)
    episode = rig.finish()
    before = read_with_mcap(episode.path)
    cut(episode.path, 0.5)
    mend(episode.path)  # the file itself stands for its folder
    kept = read_with_mcap(episode.path)
    described = sidecar.load(episode.folder)
    missing = described.repairs[-1]["missing_messages"]
    assert len(kept) + sum(missing.values()) == len(before)
    assert described.repairs[-1]["missing_seconds"] > 0


def assert_truncated_episodes_say_what_is_missing(folder, times, seed):
    """Cut a finished episode at random bytes: all but the last second is kept, the rest is told."""
    whole = write_bag(folder / "whole", 6.0)
    before = read_with_mcap(whole.path)
    arrived = Counter(topic for topic, _, _ in before)
    data = whole.path.read_bytes()
    ends = chunk_ends(data)
    described = sidecar.Sidecar(
        episode_id="cut",
        bag="cut_0.mcap",
        cell_file="",
        begin=BEGIN,
        wish=sidecar.Wish("pick up the beaker"),
        circumstances=sidecar.Circumstances(),
        ledger={
            topic: {"arrived": n, "written": n, "lost_writer": 0} for topic, n in arrived.items()
        },
    )
    described = described.ended(BEGIN + 6 * SECOND, "operator", safe_until=BEGIN + 6 * SECOND)
    random.seed(seed)
    for number in range(times):
        size = random.randrange(len(data))
        bag = folder / f"cut{number}"
        bag.mkdir()
        (bag / described.bag).write_bytes(data[:size])
        (bag / "metadata.yaml").write_bytes((folder / "whole" / "metadata.yaml").read_bytes())
        described.save(bag)
        assert needs_repair(bag)
        report = mend(bag)

        kept = read_with_mcap(bag / described.bag)
        assert sorted(kept) == sorted(read_with_rosbags(bag))
        assert kept == before[: len(kept)]
        in_the_cut_chunk = next((n for end, n in ends if end > size), len(before))
        if len(kept) < in_the_cut_chunk:
            last = kept[-1][1] if kept else BEGIN
            assert before[in_the_cut_chunk - 1][1] - last <= SECOND
        told = sidecar.load(bag)
        has = Counter(topic for topic, _, _ in kept)
        missing = {topic: n - has[topic] for topic, n in arrived.items() if n > has[topic]}
        assert told.state == sidecar.REPAIRED
        assert told.repairs[-1]["missing_messages"] == missing
        assert {topic: entry["written"] for topic, entry in told.ledger.items()} == {
            topic: has[topic] for topic in arrived
        }
        assert report.missing == sum(missing.values())
        assert not needs_repair(bag)


def test_truncated_episodes_say_what_is_missing(tmp_path):
    assert_truncated_episodes_say_what_is_missing(tmp_path, 10, seed=11)


@pytest.mark.long
def test_200_truncated_episodes_say_what_is_missing(tmp_path):
    assert_truncated_episodes_say_what_is_missing(tmp_path, 200, seed=12)


def test_bags_of_others_are_repaired_only_when_asked(tmp_path):
    writer = write_bag(tmp_path / "other", 1.0, finish=False)
    writer.flush()
    writer.close()
    incidents = []
    mend_all(bags_in(tmp_path), incidents.append)
    assert incidents == []
    report = mend(tmp_path / "other")
    assert report.messages == 110
    assert not (tmp_path / "other" / sidecar.FILE).exists()


def test_a_repair_that_fails_is_told_and_the_others_go_on(tmp_path, episode, monkeypatch):
    rig = Rig(tmp_path)
    rig.start()
    rig.run(0.2)
    second = rig.finish()
    for path in (episode.path, second.path):
        cut(path, 0.5)
    real = mending.repair

    def fail_once(path, progress):
        monkeypatch.setattr(mending, "repair", real)
        raise BagError("no room")

    monkeypatch.setattr(mending, "repair", fail_once)
    incidents = []
    mend_all(bags_in(tmp_path), incidents.append)
    assert [incident.reason for incident in incidents] == ["repair_failed", "bag_repaired"]


def test_a_folder_of_recordings_stands_for_all_in_it(tmp_path):
    for name in ("b", "a"):
        write_bag(tmp_path / name, 0.1)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    assert [bag.name for bag in bags_in(tmp_path)] == ["a", "b"]
    assert [bag.name for bag in bags_in(tmp_path / "a")] == ["a"]
    assert [bag.name for bag in bags_in(tmp_path / "a" / "a_0.mcap")] == ["a"]
    assert list(bags_in(tmp_path / "nowhere")) == []


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"format": "labvla.episode.2"}', '{"format": "labvla.episode.1"}']
)
def test_a_description_that_cannot_be_read_is_none(episode, text):
    (episode.folder / sidecar.FILE).write_text(text)
    assert sidecar.load(episode.folder) is None
