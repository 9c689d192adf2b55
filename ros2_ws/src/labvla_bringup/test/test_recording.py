"""Recording with the whole stack: from the command line, and through a killed recorder."""

import os
import signal
from pathlib import Path

import pytest

from labvla_bringup import registry
from labvla_bringup.stack import describe
from labvla_data.bag.reader import BagReader
from labvla_data.recording import sidecar
from labvla_policy.runtime.cell import load_cell

CAMERAS = {f"/camera/{name}/color/image_raw" for name in ("front", "side", "wrist")}


def begin(labvla, wait_for, *words):
    """Start an episode; right after the stack came up, its streams may not have been found yet."""
    found = {}

    def started():
        code, found["answer"] = labvla.json("record", "start", *words)
        return code == 0

    wait_for(started)
    return found["answer"]


def pid_of(name):
    return next(p.pid for p in registry.current().processes if p.name == name)


def test_an_episode_from_the_command_line(franka_up, wait_for):
    labvla = franka_up
    episode = begin(labvla, wait_for, "--operator", "ada", "--tag", "one")["episode_id"]
    again = labvla("record", "start", "--operator", "bob")
    assert again.returncode == 1
    assert "is being recorded" in again.stderr
    labvla("say", "press the start button")

    code, status = labvla.json("record", "status")
    assert code == 0
    assert (status["state"], status["episode_id"]) == ("recording", episode)
    assert status["silent"] == []

    code, finished = labvla.json("record", "finish", "--outcome", "failure", "--notes", "a test")
    assert code == 0
    bag = Path(finished["path"]).parent
    assert bag.parent == labvla.folder / "out" / "recordings"
    described = sidecar.load(bag)
    assert (described.outcome, described.closing_notes) == ("failure", "a test")
    assert (described.wish.operator, described.wish.tags) == ("ada", ("one",))
    assert described.wish.instruction == "press the start button"
    assert described.circumstances.policy == "expert:true-state"
    with BagReader(bag) as reader:
        held = {topic.name: topic.messages for topic in reader.topics}
    assert {topic for topic, number in held.items() if number} >= CAMERAS | {"/franka/joint_states"}
    assert {topic: e["written"] for topic, e in finished["lost"].items() if e["written"]} == {
        topic: number for topic, number in held.items() if number
    }
    assert load_cell(bag / described.cell_file).hash == described.circumstances.cell_hash

    repaired = labvla("record", "--repair", str(bag))
    assert repaired.returncode == 0
    assert "nothing to repair" in repaired.stdout


def test_a_killed_recorder_comes_back_and_repairs_while_the_cell_goes_on(franka_up, wait_for):
    labvla = franka_up
    episode = begin(labvla, wait_for)["episode_id"]
    bag = labvla.folder / "out" / "recordings" / episode
    wait_for(lambda: (found := sidecar.load(bag)) is not None and found.safe_until is not None)
    before = pid_of("recorder")
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: sidecar.load(bag).state == "repaired")
    wait_for(lambda: {p.state for p in registry.current().processes} == {"ready"})
    assert pid_of("recorder") != before
    with BagReader(bag) as reader:
        assert sum(topic.messages for topic in reader.topics) > 0


@pytest.mark.parametrize("words", [(), ("--repair",), ("fly",), ("--repair", "nowhere")])
def test_wrong_use(labvla, words):
    done = labvla("record", *words)
    assert done.returncode == 2
    assert done.stderr


def test_a_stack_without_a_recorder_or_with_another_folder():
    cell = load_cell("franka")
    assert "recorder" not in {process.name for process in describe(cell, record=False).processes}
    recorder = describe(cell, recordings="/data").processes[-1]
    assert recorder.parameters["data_directory"] == "/data"
    assert not recorder.essential
