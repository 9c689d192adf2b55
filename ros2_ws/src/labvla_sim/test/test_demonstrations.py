"""Demonstrations: reproducible, undisturbed while they are recorded, and good enough to replay."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from labvla_data.checks.preflight import Plan, preflight
from labvla_data.checks.validate import validate
from labvla_data.dataset import ACTION, STATE, DatasetError, NoRoomError, open_dataset
from labvla_policy.runtime.cell import load_cell
from labvla_policy.runtime.types import NANOSECONDS, Prediction
from labvla_sim.closed_loop import EpisodeRunner
from labvla_sim.demonstrations import attempt as attempts
from labvla_sim.demonstrations import reasons
from labvla_sim.demonstrations.command import REPORT, TooManyFailures, Wish, generate
from labvla_sim.demonstrations.course import MIXTURE, displaced, sample_course
from labvla_sim.demonstrations.demonstrator import Demonstrator
from labvla_sim.demonstrations.frames import TRUTH, TRUTH_NAMES, frames
from labvla_sim.demonstrations.reasons import Refused
from labvla_sim.experts.ik import Reach
from labvla_sim.plant import SimCell
from labvla_sim.scene.hot_plate import HEIGHT
from labvla_sim.tasks import TASKS, Trial, sample_episode

CELL = load_cell("franka")
DOCS = Path(__file__).parents[4] / "docs"
WISH = Wish(("press", "pick"), 2, 3, size=64, cameras=("front", "wrist"))
ROWS = 50
JOINTS = slice(0, 7)


def contents(folder):
    """Return the digest of every file."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def good(shown, kind, task, count):
    """Return the first demonstrations that were disturbed in a way."""
    found = []
    for seed in range(100):
        episode = sample_episode(CELL, task, seed, "train")
        if sample_course(CELL, episode)[1].kind != kind:
            continue
        try:
            found.append(shown(task, seed))
        except Refused:
            continue
        if len(found) == count:
            return found
    raise AssertionError(f"fewer than {count} of {kind} {task}")


@pytest.fixture(scope="module")
def shown():
    """Demonstrations without pictures: they are the same, and much faster."""
    known = {}

    def show(task, seed):
        if (task, seed) not in known:
            cell = attempts.as_recorded(CELL, 64, None)
            known[task, seed] = attempts.demonstrate(cell, task, seed, pictures=False)
        return known[task, seed]

    return show


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """What one process makes in one go, and its report."""
    folder = tmp_path_factory.mktemp("generated") / "demos"
    return folder, generate(CELL, WISH, folder, workers=1)


def rows_of(shown):
    """Return states, actions and stamps of a demonstration as the dataset has them."""
    made = frames(CELL, shown.moments, shown.motion)
    return tuple(np.array([frame[key] for frame in made]) for key in (STATE, ACTION, "stamps"))


# The same dataset, whoever makes it


def test_two_processes_make_the_same_dataset_as_one_bit_for_bit(dataset, tmp_path):
    generate(CELL, WISH, tmp_path / "demos", workers=2)
    assert contents(tmp_path / "demos") == contents(dataset[0])


def test_a_killed_run_goes_on_where_it_stopped(dataset, tmp_path, monkeypatch):
    folder = tmp_path / "demos"
    words = ["press", "pick", "--episodes", "2", "--seed", "3", "--size", "64", "--workers", "1"]
    words += ["--cameras", "front,wrist", "--out", str(folder)]
    process = subprocess.Popen([sys.executable, "-m", "labvla_bringup.cli", "generate", *words])
    notes = tmp_path / "demos.partial" / "parts"
    deadline = time.monotonic() + 300
    while not list(notes.glob("*.json")) and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not folder.exists()
    before = len(list(notes.glob("*.json")))
    made = []
    real = attempts.demonstrate
    monkeypatch.setattr(
        attempts, "demonstrate", lambda *words, **more: made.append(words) or real(*words, **more)
    )
    report = generate(CELL, WISH, folder, workers=1)
    assert 1 <= before < report["attempts"]
    assert len(made) == report["attempts"] - before
    assert contents(folder) == contents(dataset[0])
    assert not (tmp_path / "demos.partial").exists()


def test_what_stands_there_already_is_not_made_again(dataset, monkeypatch):
    folder, report = dataset
    monkeypatch.setattr(attempts, "demonstrate", None)
    assert generate(CELL, WISH, folder, workers=1) == report


def test_nothing_is_mixed_with_or_written_over_something_else(dataset, tmp_path):
    with pytest.raises(DatasetError, match=r"seed 3, asked for 4"):
        generate(CELL, replace(WISH, seed=4), dataset[0])
    partial = tmp_path / "demos.partial"
    partial.mkdir()
    asked = json.loads((dataset[0] / REPORT).read_text())["asked"]
    (partial / "wish.json").write_text(json.dumps({**asked, "size": 128}))
    with pytest.raises(DatasetError, match=r"demos\.partial: .*size 128, asked for 64"):
        generate(CELL, WISH, tmp_path / "demos")
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").touch()
    with pytest.raises(DatasetError, match="not made by `labvla generate`"):
        generate(CELL, WISH, other)


def test_other_seeds_have_no_episode_in_common():
    def scenes(seed):
        made = [attempts.Attempt("pick", number, seed, CELL, None, Path()) for number in range(20)]
        return {sample_episode(CELL, "pick", one.episode_seed, "train").scene for one in made}

    assert not scenes(0) & scenes(1)


# What is in it


def test_checks_find_nothing_against_it_in_both_versions(dataset, tmp_path):
    old = tmp_path / "old"
    wish = Wish(("press",), 1, 3, version="v2.1", images="png", size=64)
    generate(CELL, wish, old, workers=1)
    for folder in (dataset[0], old):
        assert validate(folder)["issues"] == []
    assert preflight([old], Plan(cell=CELL))["issues"] == []
    # Two cameras of three: said, and no obstacle.
    found = preflight([dataset[0]], Plan(cell=CELL))
    assert found["ok"]
    assert all("side" in issue["detail"] for issue in found["issues"])


def test_it_holds_what_was_asked_for(dataset):
    folder, report = dataset
    data = open_dataset(folder)
    assert report["tasks"] == {"press": 2, "pick": 2}
    assert len(data) == report["episodes"] == 4
    assert data.fps == CELL.policy.row_rate
    assert set(data.pictures) == {"observation.images.front", "observation.images.wrist"}
    notes = [json.loads(line) for line in (folder / "meta/labvla_episodes.jsonl").open()]
    for episode, note in zip(data, notes, strict=True):
        assert {episode.tasks[0]} == set(episode.tasks) <= set(TASKS[note["task_name"]].wordings)
        stamps = episode.column("stamps")[:, 0]
        assert np.abs(np.diff(stamps) - NANOSECONDS / data.fps).max() <= 1_000_000
        action, state = episode.column(ACTION), episode.column(STATE)
        # An action is the next state, but for what a compliant arm lags and sags.
        assert np.abs(action[:-1, JOINTS] - state[1:, JOINTS]).max() < 0.1


def test_the_truth_says_where_things_are_and_whether_it_is_done(dataset):
    folder, _ = dataset
    notes = [json.loads(line) for line in (folder / "meta/labvla_episodes.jsonl").open()]
    for episode, note in zip(open_dataset(folder), notes, strict=True):
        truth = dict(zip(TRUTH_NAMES, episode.column(TRUTH).T, strict=True))
        plate = note["scene"]["hot_plate"]["place"]
        button = np.array([truth[f"button.base.{axis}"][0] for axis in "xy"])
        assert np.linalg.norm(button - [plate["x"], plate["y"]]) < 0.25
        if note["task_name"] == "press":
            assert truth["hot_plate.running"][-1] == 1
            nearest = np.argmin(truth["button.tool.z"] ** 2 + truth["button.tool.x"] ** 2)
            assert np.abs(truth["button.tool.x"][nearest]) < 0.02
        else:
            assert truth["beaker.held"][-1] == 1
            assert truth["beaker.base.z"][-1] - truth["beaker.base.z"][0] > -0.001
            assert truth["beaker.base.z"][-1] > 0.09
            assert np.hypot(truth["beaker.tool.x"][-1], truth["beaker.tool.y"][-1]) < 0.03


def test_a_transport_is_shown_from_the_bench_to_an_open_hand_over_the_plate(shown):
    [one] = good(shown, "usual", "transport", 1)
    truth = dict(zip(TRUTH_NAMES, np.array([m.truth for m in one.moments]).T, strict=True))
    assert truth["beaker.base.z"][0] == pytest.approx(0.0, abs=0.002)
    assert truth["beaker.base.z"][-1] == pytest.approx(HEIGHT, abs=0.002)
    held = truth["beaker.held"]
    assert (held[0], held.max(), held[-1]) == (0.0, 1.0, 0.0)
    phases = list(dict.fromkeys(moment.phase for moment in one.moments))
    expected = ["close", "lift", "carry", "stop over", "lower", "release", "leave"]
    assert [phase for phase in phases if phase in expected] == expected


# What went wrong before is not in it


@pytest.mark.parametrize("task", sorted(TASKS))
def test_the_arm_stands_where_it_was_displaced_to_when_recording_begins(shown, task):
    for one in good(shown, "arm_displaced", task, 3):
        states, actions, stamps = rows_of(one)
        kick = one.course.kick
        first = np.searchsorted(one.motion.stamps, stamps[0, 0])
        begun = np.searchsorted(one.motion.stamps, int(kick.time * NANOSECONDS))
        assert first > begun
        reference = one.motion.positions
        assert np.abs(reference[first] - reference[begun]).max() > 0.02, "it was not displaced"
        assert np.abs(one.motion.velocities[first]).max() < 0.02
        assert np.abs(actions[0, JOINTS] - states[0, JOINTS]).max() < 0.05
        assert "displaced" not in {moment.phase for moment in one.moments}
        fastest = np.array(CELL.arms[0].operating_limits.velocity) / CELL.policy.row_rate
        assert (np.abs(np.diff(actions[:, JOINTS], axis=0)) <= 1.05 * fastest).all()


def test_a_target_is_at_rest_again_when_recording_begins(shown):
    [one] = good(shown, "target_displaced", "pick", 1)
    move = one.course.move
    assert one.moments[0].seen.stamp > (move.start + move.seconds) * NANOSECONDS
    place = one.episode.scene.beaker("beaker").place
    there = np.array([place.x, place.y]) + move.offset
    base = [TRUTH_NAMES.index(f"beaker.base.{axis}") for axis in "xy"]
    np.testing.assert_allclose(one.moments[0].truth[base], there, atol=0.003)


def test_a_kick_never_leads_out_of_the_workspace():
    reach, random = Reach(CELL.arms[0]), np.random.default_rng(0)
    box = CELL.workspace.tool
    for _ in range(200):
        joints = reach.comfortable + random.normal(0, 0.1, 7)
        there = displaced(CELL, joints, tuple(random.uniform(-0.6, 0.6, 7)))
        place = reach.tool(there)[:3, 3]
        moved = np.abs(there - joints).max() > 0
        assert not moved or ((place >= box.lower).all() and (place <= box.upper).all())
        assert not moved or place[2] >= 0.03


def test_every_kind_of_course_comes_up_as_often_as_said():
    courses = [
        sample_course(CELL, sample_episode(CELL, "pick", seed, "train"))[1].kind
        for seed in range(400)
    ]
    for kind, share in MIXTURE.items():
        assert courses.count(kind) / 400 == pytest.approx(share, abs=0.08)


# It shows what to do


class Replay:
    """Plays an episode's actions from where the recording begins."""

    def __init__(self, trial, one):
        self._trial, self._lead = trial, Demonstrator(trial, one.course)
        _, self._actions, stamps = rows_of(one)
        self._stamps = stamps[:, 0]

    def begin(self, observation):
        self._lead.begin(observation)

    def infer(self, question):
        stamp = question.observation.stamp
        if stamp < self._stamps[0]:
            return self._lead.infer(question)
        frame = int(np.searchsorted(self._stamps, stamp))
        rows = self._actions[np.minimum(frame + np.arange(ROWS), len(self._actions) - 1)]
        dt = 1.0 / CELL.policy.row_rate
        return Prediction(
            plan_start=stamp + round(dt * NANOSECONDS),
            dt=dt,
            joint_names=CELL.joints,
            joint_targets=rows[:, JOINTS].astype(float),
            gripper_names=("arm_gripper",),
            gripper_targets=2.0 * rows[:, 7:].astype(float),  # of one finger in the columns
        )


@pytest.mark.parametrize("task", sorted(TASKS))
@pytest.mark.parametrize("kind", ["usual", "arm_displaced"])
def test_replaying_the_actions_does_the_task_again(shown, task, kind):
    [one] = good(shown, kind, task, 1)
    trial = Trial(SimCell(attempts.as_recorded(CELL, 64, None), one.episode.scene))
    result = EpisodeRunner(trial, Replay(trial, one)).run(one.episode)
    assert result.success, result.reason


# What is refused


def test_failed_attempts_are_left_out_and_made_up_for(tmp_path, monkeypatch):
    real = attempts.demonstrate

    def sometimes(cell, task, seed, **more):
        if seed == 3 * attempts.SEEDS_APART:
            raise Refused("failed", "the button is not pressed")
        return real(cell, task, seed)

    monkeypatch.setattr(attempts, "demonstrate", sometimes)
    wish = Wish(("press",), 1, 3, size=64, cameras=("front",))
    report = generate(CELL, wish, tmp_path / "demos", workers=1)
    assert report["episodes"] == 1
    assert report["refused"][0] == {
        "task": "press",
        "attempt": 0,
        "seed": 3_000_000,
        "reason": "failed",
        "detail": "the button is not pressed",
    }
    assert report["attempts"] == 1 + len(report["refused"])
    assert report["success"] == pytest.approx(1 / report["attempts"])


def test_an_expert_that_only_fails_ends_it_with_the_reasons(tmp_path, monkeypatch):
    def never(*_, **__):
        raise Refused("failed", "the beaker is not held")

    monkeypatch.setattr(attempts, "demonstrate", never)
    with pytest.raises(TooManyFailures, match=r"0 good .* in 10 attempts.*failed 10.*not held"):
        generate(CELL, Wish(("pick",), 1, 0, size=64), tmp_path / "demos", workers=1)
    assert not (tmp_path / "demos").exists()


def test_a_full_disk_leaves_what_is_finished_for_the_next_run(dataset, tmp_path, monkeypatch):
    real, calls = attempts.PartWriter.finish, []

    def full(self, metadata=None):
        calls.append(self)
        if len(calls) == 2:
            raise NoRoomError("no room left on the disk")
        return real(self, metadata)

    monkeypatch.setattr(attempts.PartWriter, "finish", full)
    with pytest.raises(NoRoomError):
        generate(CELL, WISH, tmp_path / "demos", workers=1)
    assert not (tmp_path / "demos").exists()
    generate(CELL, WISH, tmp_path / "demos", workers=1)
    assert contents(tmp_path / "demos") == contents(dataset[0])


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        (Wish(("dance",), 1, 0), "expected tasks of press, pick"),
        (Wish(("pick", "pick"), 1, 0), "each once"),
        (Wish(("pick",), 0, 0), "1 episode or more"),
        (Wish(("pick",), 1, -1), "seed of 0 or more"),
        (Wish(("pick",), 1, 0, cameras=("top",)), "expected cameras of front, side, wrist"),
        (Wish(("pick",), 1, 0, version="v9"), "expected a version"),
    ],
)
def test_nonsense_is_refused_before_anything_is_written(wish, said, tmp_path):
    with pytest.raises(DatasetError, match=said):
        generate(CELL, wish, tmp_path / "demos")
    assert list(tmp_path.iterdir()) == []


def test_the_documented_reasons_are_those_of_the_code():
    assert reasons.table() in (DOCS / "generate.md").read_text()
