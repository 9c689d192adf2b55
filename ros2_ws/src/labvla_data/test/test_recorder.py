"""Episodes hold what was sent, and the ledger holds what they do not."""

import errno
import json
import os
import random
import shutil
import subprocess
import sys
import time
from functools import partialmethod
from pathlib import Path

import pytest
from bag_support import BEGIN, SECOND, read_with_mcap, read_with_rosbags
from mcap.reader import make_reader
from recorder_support import STREAMS, TIMEOUT, WISH, Gate, Rig

from labvla_data.bag import mcap_file
from labvla_data.bag.writer import BagWriter
from labvla_data.recording import disk, sidecar
from labvla_data.recording.disk import DiskGuard
from labvla_data.recording.mending import mend, needs_repair
from labvla_data.recording.recorder import Refused
from labvla_data.recording.sidecar import Circumstances, Wish

HERE = Path(__file__).parent


def messages_of(result, topic):
    return [(time, data) for t, time, data in read_with_mcap(result.path) if t == topic]


def entry_of(result, topic):
    return next(entry for entry in result.entries if entry.topic == topic)


@pytest.fixture
def rig(tmp_path):
    rig = Rig(tmp_path)
    yield rig
    rig.recorder.end()


def test_an_episode_holds_what_was_sent_between_start_and_finish(rig):
    rig.run(0.5)
    before = {topic: len(sent) for topic, sent in rig.sent.items()}
    rig.start()
    rig.run(2.0)
    result = rig.finish()
    during = {topic: sent[before[topic] :] for topic, sent in rig.sent.items()}
    rig.run(0.5)
    assert messages_of(result, "/camera") == during["/camera"]
    assert messages_of(result, "/states") == during["/states"]
    assert len(read_with_rosbags(result.folder)) == 220
    assert [entry.lost for entry in result.entries] == [0, 0, 0]


def test_the_preroll_belongs_to_the_episode(tmp_path):
    rig = Rig(tmp_path, preroll=0.5)
    rig.run(2.0)
    rig.start()
    rig.run(1.0)
    result = rig.finish()
    assert messages_of(result, "/states") == rig.sent["/states"][150:]
    assert entry_of(result, "/states").lost == 0
    rig.run(0.2)  # the next one's ring holds nothing of this one
    rig.start()
    again = rig.finish()
    assert messages_of(again, "/states") == rig.sent["/states"][300:]


def test_episode_json_says_what_the_bag_cannot(rig):
    rig.start()
    rig.recorder.course.note(rig.time, "policy", "")
    rig.run(0.5)
    rig.recorder.course.note(rig.time, "teleop", "")
    rig.run(0.5)
    result = rig.finish("failure", "it fell")
    value = json.loads((result.folder / "episode.json").read_text())
    assert value["format"] == "labvla.episode.1"
    assert value["state"] == "finished"
    assert value["ended_by"] == "operator"
    assert value["wish"]["instruction"] == "pick up the beaker"
    assert value["wish"]["tags"] == ["one", "two"]
    assert value["circumstances"]["cell_hash"] == "abc"
    assert (value["outcome"], value["closing_notes"]) == ("failure", "it fell")
    assert value["interventions"] == [
        {"owner": "teleop", "begin": BEGIN + SECOND // 2, "end": BEGIN + SECOND}
    ]
    assert value["duration"] == 1.0
    assert value["ledger"]["/states"]["written"] == 100
    assert sidecar.load(result.folder) == result.sidecar


def test_what_becomes_known_during_the_episode_is_filled_in(rig):
    rig.circumstances = Circumstances()
    rig.start(Wish())
    rig.run(0.1)
    for instruction in ("", "press the button", "something else", ""):
        rig.recorder.course.note(rig.time, "policy", instruction)
    rig.circumstances = Circumstances(policy="expert", contract_hash="abc")
    described = rig.finish().sidecar
    assert described.wish.instruction == "press the button"
    assert (described.circumstances.policy, described.circumstances.contract_hash) == (
        "expert",
        "abc",
    )


def test_the_mcap_file_carries_its_description_too(rig):
    rig.start()
    rig.run(0.2)
    result = rig.finish()
    with result.path.open("rb") as file:
        (record,) = make_reader(file).iter_metadata()
    assert json.loads(record.metadata["json"])["outcome"] == "success"


def test_a_random_stream_of_losses_is_accounted_for_exactly(rig):
    random.seed(4)
    fates = ({}, {}, {}, {"sent": False}, {"arrives": False})
    chosen = {}

    def lose(stream, number):
        if number == 0:
            return {}
        fate = chosen[stream, number] = random.choice(fates)
        return fate

    rig.start()
    rig.run(5.0, lose)
    rig.send(0)
    rig.send(1)
    result = rig.finish()
    for number, topic in ((0, "/camera"), (1, "/states")):
        fates_of = [fate for (stream, _), fate in chosen.items() if stream == number]
        entry = entry_of(result, topic)
        assert entry.lost_transport == fates_of.count({"arrives": False})
        assert entry.lost_source == fates_of.count({"sent": False})
        assert entry.lost_writer == 0
        assert entry.written == len(rig.sent[topic]) == len(messages_of(result, topic))


def test_a_slow_disk_costs_pictures_before_states_and_is_told(tmp_path, monkeypatch):
    slow = Gate(BagWriter.flush)
    monkeypatch.setattr(BagWriter, "flush", partialmethod(slow))
    rig = Rig(tmp_path, memory=2_000_000, side=128)  # 49 kB a picture
    rig.start()
    rig.run(0.1)
    assert slow.reached.wait(TIMEOUT)
    rig.run(10.0)
    now = rig.recorder.snapshot()
    assert now.waiting <= 2_000_000
    slow.open()
    result = rig.finish()
    assert "writer_behind" in {incident.reason for incident in rig.incidents}
    camera, states = entry_of(result, "/camera"), entry_of(result, "/states")
    assert camera.lost_writer > 0
    assert states.lost_writer == 0
    for entry in (camera, states):
        assert entry.arrived == entry.written + entry.lost_writer == len(rig.sent[entry.topic])
        assert entry.written == len(messages_of(result, entry.topic))


def test_requests_that_make_no_sense_are_refused(rig):
    with pytest.raises(Refused, match="no episode is being recorded"):
        rig.finish()
    with pytest.raises(Refused, match="no episode is being recorded"):
        rig.recorder.discard("why not")
    with pytest.raises(Refused, match="at most 10000 characters, got 20000"):
        rig.start(Wish(notes="x" * 20_000))
    rig.silent = ["/camera"]
    with pytest.raises(Refused, match="nothing comes on /camera"):
        rig.start()
    assert [incident.reason for incident in rig.incidents] == ["stream_silent"]
    rig.silent = []
    rig.start()
    with pytest.raises(Refused, match="is being recorded: finish or discard it first"):
        rig.start(Wish("something else"))
    with pytest.raises(Refused, match="expected one of unknown, success, failure, got 'perfect'"):
        rig.finish("perfect")
    assert list(rig.recorder.snapshot().entries)


def test_a_repeated_request_gets_the_same_answer(rig):
    first = rig.start()
    assert rig.start() == first
    rig.run(0.2)
    result = rig.finish("success")
    assert rig.finish("success") is result
    with pytest.raises(Refused):
        rig.finish("failure")
    assert rig.start().episode_id != first.episode_id
    rig.recorder.discard("").result(TIMEOUT)
    rig.recorder.discard("").result(TIMEOUT)


def test_a_discarded_episode_leaves_nothing(rig, tmp_path):
    rig.start()
    rig.run(0.5)
    rig.recorder.discard("spilled").result(TIMEOUT)
    assert list(tmp_path.iterdir()) == []
    assert rig.recorder.snapshot().state == "idle"


def test_the_end_of_the_recorder_keeps_the_episode(rig):
    rig.start()
    rig.run(0.5)
    rig.recorder.end()
    last = rig.recorder.last
    assert last.sidecar.ended_by == "shutdown"
    assert last.sidecar.outcome == "unknown"
    assert len(read_with_mcap(last.path)) == 55


def test_episodes_of_the_same_second_have_different_names(rig):
    names = set()
    for _ in range(3):
        names.add(rig.start().episode_id)
        rig.finish()
        rig.recorder._asked = None
    assert len(names) == 3


# The disk


class Disk:
    """A disk whose room a test decides."""

    def __init__(self, folder):
        self.room = 10**9
        self.guard = DiskGuard(folder, 10**6, lambda _: self.room)


def test_without_room_no_episode_begins(tmp_path):
    room = Disk(tmp_path)
    rig = Rig(tmp_path, disk=room.guard)
    room.room = 999_999
    with pytest.raises(Refused, match="expected at least 1 MB"):
        rig.start()
    assert [incident.reason for incident in rig.incidents] == ["disk_low"]
    assert list(tmp_path.iterdir()) == []


def test_an_episode_ends_before_the_disk_is_full_and_takes_an_outcome_later(tmp_path):
    room = Disk(tmp_path)
    rig = Rig(tmp_path, disk=room.guard)
    rig.start()
    rig.run(0.5)
    room.room = 400_000
    run_until_it_ends(rig)
    assert [incident.reason for incident in rig.incidents] == ["disk_low"]
    last = rig.recorder.last
    assert last.sidecar.ended_by == "disk_low"
    assert len(read_with_mcap(last.path)) >= 55
    result = rig.finish("failure", "ran out of room")
    assert result.incident.reason == "disk_low"
    assert sidecar.load(result.folder).outcome == "failure"


def assert_ended_by_a_full_disk(rig):
    (incident,) = {i.reason: i for i in rig.incidents if i.reason != "messages_lost"}.values()
    assert incident.reason == "write_failed"
    assert "No space left on device" in incident.detail
    last = rig.recorder.last
    kept = read_with_mcap(last.path)
    assert len(kept) == sum(entry.written for entry in last.entries) > 0
    assert sorted(read_with_rosbags(last.folder)) == sorted(kept)
    for entry in last.entries:
        assert entry.arrived == entry.written + entry.lost_writer
    assert not needs_repair(last.folder)


def run_until_it_ends(rig):
    """Send for as long as the recorder takes it, not much faster than a cell would."""
    deadline = time.monotonic() + TIMEOUT
    while rig.recorder.last is None:
        assert time.monotonic() < deadline, "the recorder did not come to an end"
        rig.run(0.05)
        time.sleep(0.02)


class FullDisk:
    """writev on a disk that is full after some bytes, until room is made."""

    def __init__(self, room):
        self.room = room

    def __call__(self, descriptor, pieces):
        data = b"".join(pieces)
        done = os.write(descriptor, data[: self.room])
        self.room -= done
        if done == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return done


def test_a_full_disk_ends_the_episode_with_what_is_safe(tmp_path, monkeypatch):
    full = FullDisk(100_000)
    monkeypatch.setattr(mcap_file.os, "writev", full)
    room = Disk(tmp_path)

    def release(guard):
        full.room = disk.RESERVE

    monkeypatch.setattr(DiskGuard, "release", release)
    rig = Rig(tmp_path, disk=room.guard)
    rig.start()
    run_until_it_ends(rig)
    assert_ended_by_a_full_disk(rig)


FILL_A_SMALL_DISK = """
import sys
from pathlib import Path
from recorder_support import Rig
from labvla_data.recording.disk import DiskGuard
from test_recorder import assert_ended_by_a_full_disk, run_until_it_ends
rig = Rig(sys.argv[1], side=256, disk=DiskGuard(Path(sys.argv[1]), 0))
rig.start()
run_until_it_ends(rig)
assert_ended_by_a_full_disk(rig)
"""


def test_a_small_disk_that_is_really_full(tmp_path):
    """In a mount namespace of its own, where anybody may mount a file system in memory."""
    command = f"mount -t tmpfs -o size=24m none {tmp_path} && exec {sys.executable} - {tmp_path}"
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", command],
        check=False,
        input=FILL_A_SMALL_DISK,
        env={**os.environ, "PYTHONPATH": f"{HERE}:{os.environ.get('PYTHONPATH', '')}"},
        capture_output=True,
        text=True,
    )
    if "unshare failed" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"this machine allows no mount namespace: {done.stderr}")
    assert done.returncode == 0, done.stderr


def test_a_disk_on_which_not_even_the_end_can_be_written_leaves_a_bag_to_repair(
    tmp_path, monkeypatch
):
    full = FullDisk(100_000)
    monkeypatch.setattr(mcap_file.os, "writev", full)
    rig = Rig(tmp_path, disk=Disk(tmp_path).guard)
    rig.start()
    run_until_it_ends(rig)
    monkeypatch.undo()
    last = rig.recorder.last
    assert last.incident.reason == "write_failed"
    assert not last.safe
    with pytest.raises(Refused, match="no episode is being recorded"):
        rig.finish()  # nothing that is not safe is ever called finished
    assert needs_repair(last.folder)
    report = mend(last.folder)
    kept = read_with_mcap(last.path)
    assert report.messages == len(kept) == sum(entry.written for entry in last.entries)
    assert sidecar.load(last.folder).state == "repaired"


def test_a_data_directory_that_somebody_removed_is_made_again(rig, tmp_path):
    shutil.rmtree(tmp_path)
    assert rig.recorder.snapshot().free == 0
    rig.start()
    assert rig.finish().folder.parent == tmp_path


def test_a_folder_that_cannot_be_written_refuses_the_start(rig, monkeypatch):
    monkeypatch.setattr(
        "labvla_data.recording.open_episode.BagWriter",
        lambda *_: (_ for _ in ()).throw(OSError(errno.EROFS, "Read-only file system")),
    )
    with pytest.raises(Refused, match="Read-only file system"):
        rig.start()
    assert rig.recorder.snapshot().state == "idle"
    monkeypatch.undo()
    assert rig.start().episode_id


def test_streams_of_the_test_are_recorded_under_their_names(rig):
    rig.start(WISH)
    rig.send(2)
    result = rig.finish()
    assert [entry.topic for entry in result.entries] == [stream.topic for stream in STREAMS]
    assert entry_of(result, "/events").written == 1
