"""What was recorded becomes what is trained on: sample by sample, and nothing is made up."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from episode_bag import (
    BEGIN,
    CAMERA_RATE,
    CAMERAS,
    CLOCK,
    HEIGHT,
    INSTRUCTION,
    SECOND,
    WIDTH,
    Recording,
    commanded_width,
    finger,
    measured,
    number_of,
    pixels,
    record,
    reference,
    write_cell,
)

from labvla_data.checks.scan import scan
from labvla_data.dataset import (
    ACTION,
    IMAGES,
    STATE,
    DatasetError,
    NoRoomError,
    VideoSettings,
    open_dataset,
)
from labvla_data.export import reasons
from labvla_data.export.command import Form, export
from labvla_data.export.episode import Wishes
from labvla_data.export.notes import Timeline
from labvla_data.recording.sidecar import Wish
from labvla_policy.runtime.cell import load_cell
from labvla_policy.runtime.streams.cdr import read_stamp

PNG = Form(images="png")
ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture(scope="module")
def cell(tmp_path_factory):
    return load_cell(write_cell(tmp_path_factory.mktemp("cell")), any_name=True)


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    return record(tmp_path_factory.mktemp("bags"))


def only(bag, folder, wishes=Wishes(), form=PNG, **options):  # noqa: B008  frozen
    """Export one bag; return its only episode and the report."""
    report = export([bag], folder / "demo", form=form, wishes=wishes, workers=1, **options)
    assert report["refused"] == []
    dataset = open_dataset(folder / "demo")
    assert len(dataset) == 1
    return dataset.episode(0), report


def refusal(bag, folder, **options):
    report = export([bag], folder / "demo", form=PNG, workers=1, **options)
    assert report["episodes"] == 0
    assert [path.name for path in folder.iterdir() if path.name.startswith("demo")] == []
    (refused,) = report["refused"]
    assert refused["reason"] in reasons.REASONS
    return refused["reason"], refused["detail"]


def seconds(stamps):
    return (stamps - BEGIN) / SECOND


def evenly(episode):
    """When an episode's rows are observed: the middle of their pictures, which the states are near.

    Actions follow one another evenly, whatever a single sample's stamp is.
    """
    stamps = episode.column("stamps")[:, 1:]
    middles = seconds((stamps.min(axis=1) + stamps.max(axis=1)) // 2)
    rows = np.arange(len(episode)) / CAMERA_RATE
    return rows + np.median(middles - rows)


def test_states_are_measured_samples_and_pictures_belong_to_them(bag, tmp_path):
    episode, _ = only(bag, tmp_path)
    stamps = episode.column("stamps")
    times = seconds(stamps[:, 0])
    assert len(episode) == pytest.approx(4 * CAMERA_RATE, abs=4)
    truth = np.array([[*measured(t), finger(t)] for t in times])
    state = episode.column(STATE)
    assert np.allclose(state[:, :7], truth[:, :7], atol=1e-6)
    # The gripper reports thirty times a second; its nearest sample is meant.
    assert np.allclose(state[:, 7], truth[:, 7], atol=0.015 * 1.1 / 60 + 1e-6)
    for slot, camera in enumerate(CAMERAS):
        shown = [number_of(image) for image in episode.pictures(IMAGES + camera)]
        assert shown == list(range(shown[0], shown[0] + len(shown)))
        taken = np.array(shown) / CAMERA_RATE + (0.0, 0.004, -0.003)[slot] + 0.01
        assert np.allclose(seconds(stamps[:, slot + 1]), taken, atol=1e-6)
        wanted = pixels(shown[5], slot)
        assert np.array_equal(episode.pictures(IMAGES + camera)[5], wanted)
        assert np.abs(seconds(stamps[:, slot + 1]) - times).max() < 0.007


def test_actions_are_the_reference_one_row_later(bag, tmp_path):
    episode, report = only(bag, tmp_path)
    later = evenly(episode) + 1 / 30
    action = episode.column(ACTION)
    assert np.allclose(action[:, :7], [reference(t) for t in later], atol=3e-4)
    # What the gripper was told last, in the policy's unit: metres of one finger.
    told = [commanded_width(np.floor(t * 50 - 0.5) / 50 + 0.01) / 2 for t in later]
    assert np.allclose(action[:, 7], told, atol=1e-6)
    assert report["exported"][0]["actions"] == "controller_state"


def test_actions_as_executed(bag, tmp_path):
    episode, report = only(bag, tmp_path, Wishes(actions="executed"))
    later = evenly(episode) + 1 / 30
    assert np.allclose(episode.column(ACTION)[:, :7], [measured(t) for t in later], atol=3e-4)
    assert np.allclose(episode.column(ACTION)[:, 7], [finger(t) for t in later], atol=1e-4)
    assert report["exported"][0]["actions"] == "joint_states"


def test_a_policy_without_row_offset(tmp_path):
    cell = load_cell(write_cell(tmp_path, **{"row_offset: 1": "row_offset: 0"}), any_name=True)
    episode, _ = only(Recording(cell).write(tmp_path / "bag"), tmp_path)
    wanted = [reference(t) for t in evenly(episode)]
    assert np.allclose(episode.column(ACTION)[:, :7], wanted, atol=3e-4)


def test_actions_from_chunks_where_no_controller_was_recorded(cell, tmp_path):
    recording = Recording(cell)
    recording.without(f"{cell.controller.name}/state")
    for k in range(19):
        recording.chunk(0.2 * k)
    episode, report = only(recording.write(tmp_path / "bag"), tmp_path)
    later = evenly(episode) + 1 / 30
    assert np.allclose(episode.column(ACTION)[:, :7], [reference(t) for t in later], atol=3e-4)
    assert report["exported"][0]["actions"] == "action_chunk"
    assert later[0] > 0.1  # before, no plan was there


@pytest.mark.parametrize("jitter", [0.0, 0.002, 0.004])
def test_frames_that_come_early_or_late_are_neither_skipped_nor_repeated(cell, tmp_path, jitter):
    bag = Recording(cell, jitter=jitter, seed=3).write(tmp_path / "bag")
    episode, report = only(bag, tmp_path)
    assert report["exported"][0]["repeated"] == {}
    for camera in CAMERAS:
        shown = [number_of(image) for image in episode.pictures(IMAGES + camera)]
        assert np.all(np.diff(shown) == 1)
    later = evenly(episode) + 1 / 30
    wanted = [reference(t) for t in later]
    assert np.allclose(episode.column(ACTION)[:, :7], wanted, atol=5e-4)  # 2 ms at most


def test_video_and_both_versions(bag, tmp_path):
    for version in ("v2.1", "v3.0"):
        form = Form(version, video=VideoSettings(crf=12))
        report = export([bag], tmp_path / version, form=form, workers=1)
        dataset = open_dataset(tmp_path / version)
        assert dataset.version == version == report["version"]
        episode = dataset.episode(0)
        image = episode.pictures(IMAGES + "side")[9].astype(int)
        number = round(seconds(episode.column("stamps")[9, 2]) * CAMERA_RATE - 0.3)
        assert np.abs(image - pixels(number, 1)).mean() < 3
        assert scan(tmp_path / version, workers=1)["bad_episodes"] == []


# What the policy node saw


def test_observations_of_the_node_are_made_again(cell, tmp_path):
    recording = Recording(cell, jitter=0.002)
    count = len(recording.observe())
    assert count > 10
    _, report = only(recording.write(tmp_path / "bag"), tmp_path)
    assert report["observations"] == {"equal": count, "different": 0, "missing": 0}


def test_a_frame_that_the_bag_has_lost_is_named(cell, tmp_path):
    recording = Recording(cell)
    used = recording.observe()
    lost = used[3].camera_stamps[1].stamp
    stamp = lost.sec * SECOND + lost.nanosec
    topic = cell.policy_cameras[1].topic
    recording.messages = [
        m for m in recording.messages if m[1] != topic or read_stamp(m[3]) != stamp
    ]
    _, report = only(recording.write(tmp_path / "bag"), tmp_path)
    assert report["observations"] == {"equal": len(used) - 1, "different": 0, "missing": 1}
    (difference,) = report["exported"][0]["differences"]
    assert difference["verdict"] == "missing"
    assert difference["detail"] == f"side {stamp}"


def test_a_picture_that_was_tampered_with_is_found(cell, tmp_path):
    recording = Recording(cell)
    count = len(recording.observe())
    topic = cell.policy_cameras[0].topic
    recording.messages = [
        (a, t, k, d[:-4000] + bytes([d[-4000] ^ 1]) + d[-3999:] if t == topic else d)
        for a, t, k, d in recording.messages
    ]
    _, report = only(recording.write(tmp_path / "bag"), tmp_path)
    assert report["observations"] == {"equal": 0, "different": count, "missing": 0}


def test_compressed_recordings_are_exported_and_not_compared(cell, tmp_path):
    recording = Recording(cell)
    recording.observe()
    bag = recording.as_jpeg().write(tmp_path / "bag")
    episode, report = only(bag, tmp_path)
    assert report["exported"][0]["hashes_compared"] is False
    image = episode.pictures(IMAGES + "front")[4].astype(int)
    number = round(seconds(episode.column("stamps")[4, 1]) * CAMERA_RATE - 0.3)
    assert np.abs(image - pixels(number, 0)).mean() < 4


# Words and people


def test_what_is_known_of_the_episode_is_kept(bag, tmp_path):
    episode, _ = only(bag, tmp_path)
    assert set(episode.tasks) == {INSTRUCTION}
    known = open_dataset(tmp_path / "demo").sidecar[0]
    assert known["operator"] == "ada"
    assert known["outcome"] == "success"
    assert known["tags"] == ["training"]
    assert known["engine"] == "expert"
    assert known["episode_id"] == known["source"] == "one"
    assert len(known["cell_hash"]) == 64
    assert known["begin"] == BEGIN + CLOCK


def test_what_was_recorded_before_the_bench_was_put_up_anew_is_no_part_of_the_episode(
    cell, tmp_path
):
    recording = Recording(cell, 4.0)
    for tenth in range(40):
        recording.scene(tenth / 10, seed=1 if tenth < 6 else 2)
    episode, report = only(recording.write(tmp_path / "bag"), tmp_path)
    begin = seconds(episode.column("stamps")[:, 1:].min())
    assert 0.6 <= begin < 0.8
    assert open_dataset(tmp_path / "demo").sidecar[0]["scene"]["seed"] == 2
    assert report["exported"][0]["rows"] == len(episode)


def test_of_what_is_said_while_time_stands_the_last_word_counts():
    said = Timeline()
    for stamp, owner in ((1, "policy"), (2, "policy"), (2, "teleop"), (1, "nobody")):
        said.add(stamp, owner)
    assert [said.at(t, "") for t in (0, 1, 2, 3)] == ["", "policy", "teleop", "teleop"]


def test_interventions_are_flagged_frame_by_frame(cell, tmp_path):
    recording = Recording(cell)
    for t, owner in ((0.0, "policy"), (1.0, "teleop"), (2.5, "policy"), (3.0, "correction")):
        recording.say(t, owner)
    episode, report = only(recording.write(tmp_path / "bag"), tmp_path)
    times = seconds(episode.column("stamps")[:, 0])
    wanted = ((times >= 1.0) & (times < 2.5)) | (times >= 3.0)
    assert episode.column("intervention").tolist() == wanted.tolist()
    assert report["exported"][0]["interventions"] == wanted.sum()


def test_the_instruction_in_force_is_each_frame_s_task(cell, tmp_path):
    recording = Recording(cell)
    recording.say(0.0, instruction="")
    recording.say(1.0, instruction="reach")
    recording.say(2.0, instruction="grasp")
    episode, report = only(recording.write(tmp_path / "bag", wish=Wish()), tmp_path)
    times = seconds(episode.column("stamps")[:, 0])
    assert times[0] == pytest.approx(1.0, abs=0.05)  # before, nothing was to be done
    assert episode.tasks == ["reach" if t < 2 else "grasp" for t in times]
    assert report["exported"][0]["refused_moments"]["no_instruction"] > 20


def test_steps_of_a_protocol_are_subtasks(cell, tmp_path):
    recording = Recording(cell)
    recording.step(1.5, "heat the beaker")
    episode, _ = only(recording.write(tmp_path / "bag"), tmp_path)
    times = seconds(episode.column("stamps")[:, 0])
    assert episode.subtasks == ["" if t < 1.5 else "heat the beaker" for t in times]


def test_an_instruction_may_be_given(bag, tmp_path):
    episode, _ = only(bag, tmp_path, Wishes(task="stir the liquid"))
    assert set(episode.tasks) == {"stir the liquid"}


def test_a_namespace(cell, tmp_path):
    episode, _ = only(Recording(cell).write(tmp_path / "bag", prefix="/lab1/"), tmp_path)
    assert len(episode) > 110


# Gaps and refusals


def silent_side(cell, begin, end):
    return Recording(cell).without(cell.policy_cameras[1].topic, begin, end)


def test_a_gap_is_a_refusal_that_says_where_and_why(cell, tmp_path):
    bag = silent_side(cell, 1.5, 2.2).write(tmp_path / "bag")
    reason, detail = refusal(bag, tmp_path)
    assert reason == "gap"
    assert "camera_stale" in detail
    assert "at 1.6" in detail


def test_an_episode_may_be_split_at_its_gaps(cell, tmp_path):
    bag = silent_side(cell, 1.5, 2.2).write(tmp_path / "bag")
    report = export([bag], tmp_path / "demo", form=PNG, wishes=Wishes(split=True), workers=1)
    dataset = open_dataset(tmp_path / "demo")
    assert [entry["episodes"] for entry in report["exported"]] == [[0, 1]]
    assert [dataset.sidecar[n]["piece"] for n in range(2)] == [0, 1]
    first, second = (seconds(episode.column("stamps")[:, 0]) for episode in dataset)
    assert first[-1] < 1.7
    assert second[0] == pytest.approx(2.2, abs=0.1)
    for episode in dataset:
        assert np.all(np.diff(episode.column("stamps")[:, 0]) >= 0)


def test_a_short_loss_costs_nothing_but_repeated_pictures(cell, tmp_path):
    _, report = only(silent_side(cell, 1.5, 1.58).write(tmp_path / "bag"), tmp_path)
    assert 0 < report["exported"][0]["repeated"]["side"] <= 3


def test_ends_without_observations_are_trimmed(cell, tmp_path):
    recording = silent_side(cell, 0.0, 1.0).without(cell.policy_cameras[2].topic, 3.0, 4.0)
    episode, _ = only(recording.write(tmp_path / "bag"), tmp_path)
    times = seconds(episode.column("stamps")[:, 0])
    assert times[0] == pytest.approx(1.0, abs=0.1)
    assert times[-1] == pytest.approx(3.0, abs=0.2)


def cut_in_half(bag):
    path = next(bag.glob("*.mcap"))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return bag


REFUSALS = {
    "outcome": (lambda r, f: r.write(f, outcome="failure", closing_notes="it fell over"), "fell"),
    "unfinished": (lambda r, f: r.write(f, finish=False), "stopped"),
    "unreadable": (lambda r, f: cut_in_half(r.write(f)), "--repair"),
    "no_cell": (lambda r, f: broken_cell(r.write(f)), "cell.yaml"),
    "no_instruction": (lambda r, f: r.write(f, wish=Wish()), "no_instruction"),
    "topic_missing": (lambda r, f: r.without("camera/side/color/image_raw").write(f), "side"),
    "no_actions": (lambda r, f: r.without("labvla_controller/state").write(f), "action_chunk"),
    "too_short": (lambda r, f: Recording(r.cell, seconds=0.3).write(f), "moments left out"),
}


def broken_cell(bag):
    (bag / "cell.yaml").write_text("name: franka\n")
    return bag


@pytest.mark.parametrize("reason", REFUSALS)
def test_refusals(cell, tmp_path, reason):
    make, text = REFUSALS[reason]
    bag = make(Recording(cell), tmp_path / "bag")
    good = record(tmp_path, "good")
    report = export([bag, good], tmp_path / "demo", form=PNG, workers=1)
    (refused,) = report["refused"]
    assert refused["reason"] == reason
    assert text in refused["detail"]
    assert len(open_dataset(tmp_path / "demo")) == 1  # the other episode is not lost with it


def test_failures_may_be_included(cell, tmp_path):
    bag = Recording(cell).write(tmp_path / "bag", outcome="failure")
    only(bag, tmp_path, Wishes(include_failures=True))
    assert open_dataset(tmp_path / "demo").sidecar[0]["outcome"] == "failure"


def test_a_bag_of_another_cell(cell, bag, tmp_path):
    stranger = Recording(cell).write(tmp_path / "stranger")
    path = stranger / "cell.yaml"
    path.write_text(path.read_text().replace("row_rate: 30 Hz", "row_rate: 15 Hz"))
    report = export([bag, stranger], tmp_path / "demo", form=PNG, workers=1)
    assert report["refused"][0]["reason"] == "other_cell"
    assert "policy contract" in report["refused"][0]["detail"]


def test_a_bag_that_carries_no_cell(cell, tmp_path):
    bag = Recording(cell).write(tmp_path / "bag", cell=False, sidecar=False)
    with pytest.raises(DatasetError, match="no bag says in which cell"):
        export([bag], tmp_path / "demo")
    episode, _ = only(bag, tmp_path, Wishes(task="pour"), cell=cell)
    assert set(episode.tasks) == {"pour"}


def test_no_bag(tmp_path):
    with pytest.raises(DatasetError, match="expected a bag"):
        export([tmp_path], tmp_path / "demo")


def test_every_reason_is_documented():
    text = (ROOT / "docs/data.md").read_text()
    assert reasons.table() in text


# Side by side, and interrupted


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    folder = tmp_path_factory.mktemp("three")
    for number in range(3):
        record(folder, f"episode{number}", seconds=2.0 + number / 2, seed=number)
    return folder


def contents(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "labvla_export.json"
    }


def test_several_processes_write_the_same(three, tmp_path):
    for name, workers in (("one", 1), ("three", 3)):
        export([three], tmp_path / name, form=PNG, workers=workers)
    assert contents(tmp_path / "one") == contents(tmp_path / "three")


def test_an_interrupted_export_goes_on(three, tmp_path):
    def interrupt(done, _whole):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export([three], tmp_path / "demo", form=PNG, workers=1, progress=interrupt)
    assert not (tmp_path / "demo").exists()
    parts = sorted((tmp_path / "demo.partial/parts").glob("*-00"))
    before = [part.stat().st_ino for part in parts]
    assert len(before) == 2
    seen = []

    def watch(done, whole):
        seen.append((done, whole))
        if done == whole:
            seen.append([part.stat().st_ino for part in parts])

    export([three], tmp_path / "demo", form=PNG, workers=1, progress=watch)
    assert seen[-1] == before  # what was done was not done again
    assert len(open_dataset(tmp_path / "demo")) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


def test_other_wishes_do_not_go_on_with_old_parts(three, tmp_path):
    def interrupt(done, _whole):
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export([three], tmp_path / "demo", form=PNG, workers=1, progress=interrupt)
    wishes = Wishes(actions="executed")
    report = export([three], tmp_path / "demo", form=PNG, wishes=wishes, workers=1)
    assert {entry["actions"] for entry in report["exported"]} == {"joint_states"}


@pytest.mark.parametrize("moment", [0.4, 0.9, 1.5])
def test_a_killed_export_leaves_no_half_dataset(three, tmp_path, moment):
    program = (
        "import sys; from pathlib import Path; from labvla_data.export.command import export\n"
        "export([Path(sys.argv[1])], Path(sys.argv[2]), workers=1)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(three), str(tmp_path / "demo")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    time.sleep(moment)
    process.send_signal(signal.SIGKILL)
    process.wait()
    if (tmp_path / "demo").exists():  # it was faster
        assert len(open_dataset(tmp_path / "demo")) == 3
        return
    export([three], tmp_path / "demo", workers=1)
    assert len(open_dataset(tmp_path / "demo")) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


def test_a_full_disk_keeps_the_bags_and_what_is_done(three, tmp_path, small_disk):
    disk = tmp_path / "disk"
    before = contents(three)
    with small_disk(disk, 150) as resize:
        with pytest.raises(NoRoomError, match="no room left"):
            export([three], disk / "demo", form=PNG, workers=1)
        assert not (disk / "demo").exists()
        assert contents(three) == before
        resize(100_000)
        export([three], disk / "demo", form=PNG, workers=1)
        assert len(open_dataset(disk / "demo")) == 3


def test_the_report_is_kept_with_the_dataset(bag, tmp_path):
    _, report = only(bag, tmp_path)
    kept = json.loads((tmp_path / "demo/meta/labvla_export.json").read_text())
    assert kept == report
    assert kept["exported"][0]["rows"] == report["frames"]
    assert open_dataset(tmp_path / "demo").episode(0).pictures(IMAGES + "front")[0].shape[:2] == (
        HEIGHT,
        WIDTH,
    )
