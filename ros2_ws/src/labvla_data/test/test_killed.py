"""A recorder that is killed loses a second at most, and the ledger says so."""

import random
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest
from bag_support import SECOND, read_with_mcap, read_with_rosbags
from recorder_support import STREAMS, TIMEOUT

from labvla_data.recording import sidecar
from labvla_data.recording.mending import bags_in, mend_all, needs_repair

SCRIPT = Path(__file__).with_name("killed_recorder.py")


def wait_for_a_line(log, child):
    for _ in range(round(TIMEOUT / 0.01)):  # not by the clock: both may be held still for a while
        if log.exists() and log.stat().st_size:
            return
        assert child.poll() is None
        time.sleep(0.01)
    raise AssertionError("the recorder did not begin")


def record_and_kill(folder, seconds):
    """Return what was sent, by topic, and when the recorder was killed (ns)."""
    log = folder / "log"
    recordings = folder / "recordings"
    child = subprocess.Popen([sys.executable, str(SCRIPT), str(recordings), str(log)])
    try:
        wait_for_a_line(log, child)
        time.sleep(seconds)
    finally:  # it would go on for ever
        child.send_signal(signal.SIGKILL)
        child.wait()
    killed = time.time_ns()
    sent = {stream.topic: [] for stream in STREAMS}
    for line in log.read_text().splitlines():
        number, stamp = line.split()
        sent[STREAMS[int(number)].topic].append(int(stamp))
    return recordings, sent, killed


def assert_a_second_at_most_is_missing(folder, seconds):
    recordings, sent, killed = record_and_kill(folder, seconds)
    (bag,) = bags_in(recordings)
    assert needs_repair(bag)
    incidents = []
    mend_all([bag], incidents.append)
    assert [incident.reason for incident in incidents] == ["bag_repaired"]
    assert not needs_repair(bag)

    # On a machine that gives this process no time for a while, the recorder has none either.
    states = sent["/states"]
    held_up = max((b - a for a, b in pairwise([*states, killed])), default=0)
    kept = read_with_mcap(next(bag.glob("*.mcap")))
    assert sorted(read_with_rosbags(bag)) == sorted(kept)
    described = sidecar.load(bag)
    assert described.state == "repaired"
    assert described.repairs[-1]["messages"] == len(kept)
    for topic in ("/camera", "/states"):
        has = [log_time for t, log_time, _ in kept if t == topic]
        assert has == sent[topic][: len(has)]  # nothing is missing in the middle
        late = [stamp for stamp in sent[topic][len(has) :] if stamp < killed - SECOND - held_up]
        assert late == []
        entry = described.ledger[topic]
        assert entry["written"] == len(has)
        assert entry["arrived"] == entry["written"] + entry["lost_writer"]
        assert entry["arrived"] <= len(sent[topic])


@pytest.mark.parametrize("seconds", [0.1, 1.7])
def test_a_killed_recorder_loses_a_second_at_most(tmp_path, seconds):
    assert_a_second_at_most_is_missing(tmp_path, seconds)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_50_killed_recorders_lose_a_second_at_most(tmp_path):
    random.seed(5)
    for number in range(50):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert_a_second_at_most_is_missing(folder, random.uniform(0.0, 3.0))
