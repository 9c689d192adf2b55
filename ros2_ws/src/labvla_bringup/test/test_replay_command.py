"""`labvla replay`: what was recorded is done again in simulation, and compared honestly."""

import json
from dataclasses import replace

import numpy as np
import pytest
from simulated_bag import record

from labvla_bringup import cli
from labvla_bringup.replay import Tolerance, deviations
from labvla_bringup.replay import replay as replay_motion
from labvla_data.dataset import VERSIONS, open_dataset
from labvla_data.export.command import Form, export
from labvla_data.json_files import read_lines, write_lines
from labvla_data.motion import Samples, of_bag
from labvla_data.scene import Scene
from labvla_policy.runtime.cell import load_cell
from labvla_sim.closed_loop.replay import Executed

SEED = 3
CLOSE = 0.01  # rad
CELL = load_cell("franka")


@pytest.fixture(scope="module")
def bags(tmp_path_factory):
    """An episode of either task, by the expert."""
    folder = tmp_path_factory.mktemp("bags")
    for task in ("press", "pick"):
        assert record(folder / task, CELL, task, SEED).success
    return folder


@pytest.fixture(scope="module", params=VERSIONS)
def dataset(request, bags, tmp_path_factory):
    folder = tmp_path_factory.mktemp("dataset") / "demo"
    form = Form(version=request.param, images="png")
    report = export([bags / "press", bags / "pick"], folder, form=form, workers=1)
    assert report["episodes"] == 2
    return folder


def replay(capsys, *words):
    try:
        code = cli.main(["replay", *map(str, words)])
    except SystemExit as end:  # argparse's own way
        code = end.code
    output = capsys.readouterr()
    return code, (json.loads(output.out) if "--json" in words and code in (0, 1) else output)


def worst(report, part="joints"):
    return max(one["max"] for one in report[part].values())


@pytest.mark.parametrize("task", ["press", "pick"])
def test_a_bag_is_done_again_with_the_same_success(capsys, bags, task):
    code, report = replay(capsys, bags / task, "--json")
    assert (code, report["ok"], report["beyond"]) == (0, True, [])
    assert set(report["joints"]) == set(CELL.joints)
    assert 0 < worst(report) < CLOSE
    assert worst(report, "grippers") < Tolerance().gripper
    assert report["scene"] == {"task": task, "seed": SEED, "variation": "id"}
    assert report["success"] == {"recorded": "success", "replayed": True, "missing": ""}
    assert report["refused"] == report["stops"] == {}
    assert report["seconds"] > 3.0
    for one in report["joints"].values():
        assert 0 < one["rms"] <= one["max"]
        assert 0 <= one["at"] <= report["seconds"]


@pytest.mark.parametrize("number", [0, 1])
def test_a_dataset_is_done_again_with_the_same_success(capsys, dataset, number):
    code, report = replay(capsys, dataset, "--episode", number, "--json")
    assert (code, report["beyond"]) == (0, [])
    assert worst(report) < Tolerance().joint
    assert report["success"]["replayed"]
    assert report["cell"] == "franka"


def test_a_replay_repeats_to_the_last_bit(bags):
    motion = of_bag(bags / "pick")
    once, again = (replay_motion(motion, motion.scene, Tolerance()) for _ in range(2))
    assert once == again


def test_an_arm_that_went_elsewhere_is_told(bags):
    motion = of_bag(bags / "press")
    away = motion.measured.positions.copy()
    away[len(away) // 2 :, 3] += 0.1
    spoilt = replace(motion, measured=replace(motion.measured, positions=away))
    report = replay_motion(spoilt, spoilt.scene, Tolerance())
    assert (report["ok"], report["beyond"]) == (False, ["fr3_joint4"])
    assert report["joints"]["fr3_joint4"]["max"] == pytest.approx(0.1, abs=CLOSE)


def test_commands_that_differ_lead_elsewhere(bags):
    """Not what was measured is replayed, but what was commanded."""
    motion = of_bag(bags / "press")
    ramp = np.linspace(0, 0.2, len(motion.commanded.times))[:, None] * np.eye(7)[0]
    other = replace(motion.commanded, positions=motion.commanded.positions + ramp)
    report = replay_motion(replace(motion, commanded=other), motion.scene, Tolerance())
    assert not report["ok"]
    assert report["joints"]["fr3_joint1"]["max"] == pytest.approx(0.2, abs=0.02)


def test_a_tolerance_may_be_set(capsys, bags):
    code, report = replay(capsys, bags / "press", "--tolerance", "1e-4", "--json")
    assert (code, report["ok"]) == (1, False)
    assert report["tolerance"]["joint"] == 1e-4
    code, output = replay(capsys, bags / "press", "--tolerance", "1e-4")
    assert code == 1
    assert "not reproduced" in output.out
    assert "beyond the tolerance: fr3_joint1" in output.out


def test_the_same_motion_on_another_bench_has_no_success(capsys, bags):
    code, report = replay(capsys, bags / "pick", "--task", "pick", "--seed", "11", "--json")
    assert code == 1
    assert report["success"]["recorded"] == "success"
    assert report["success"]["replayed"] is False
    assert report["success"]["missing"]


def test_without_a_scene_the_bench_is_empty_and_grippers_are_not_judged(capsys, bags, tmp_path):
    record(tmp_path / "bag", CELL, "pick", SEED, scene=False)
    code, report = replay(capsys, tmp_path / "bag", "--json")
    assert (code, report["scene"], report["success"]["replayed"]) == (0, None, None)
    assert worst(report) < Tolerance().joint
    assert worst(report, "grippers") > Tolerance().gripper  # it closes on nothing
    code, output = replay(capsys, tmp_path / "bag")
    assert code == 0
    assert "The scene is not known" in output.out


def test_a_scene_of_another_cell(capsys, dataset, tmp_path):
    path = dataset / "meta/labvla_episodes.jsonl"
    before = read_lines(path)
    for scene, message in (
        (Scene("pick", 3, "id", (1.0, 2.0)).as_json(), "finite positions"),
        (Scene("dance", 3, "id").as_json(), "expected a task"),
        ({"task": "pick"}, "scene of an episode cannot be read"),
    ):
        write_lines(path, [{**line, "scene": scene} for line in before])
        try:
            code, output = replay(capsys, dataset)
        finally:
            write_lines(path, before)
        assert code == 2
        assert message in output.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("/nowhere",), "there is nothing"),
        (("EMPTY",), "expected a bag"),
        (("BAG", "--episode", "1"), "is no dataset"),
        (("BAG", "--tolerance", "0"), "expected a number above 0"),
        (("BAG", "--tolerance", "nan"), "expected a number above 0"),
        (("BAG", "--task", "pick"), "--task and --seed belong together"),
        (("BAG", "--seed", "3"), "--task and --seed belong together"),
        (("BAG", "--cell", "kitchen"), "kitchen"),
        (("DATASET", "--episode", "99"), "there is no episode 99"),
        (("DATASET", "--cell", "ur5e"), "is not of the cell ur5e"),
    ],
)
def test_wrong_use(capsys, bags, dataset, tmp_path, words, message):
    named = {"BAG": bags / "press", "DATASET": dataset, "EMPTY": tmp_path}
    code, output = replay(capsys, *(named.get(word, word) for word in words))
    assert code == 2
    assert message in output.err


def test_a_dataset_of_a_robot_that_is_no_cell(capsys, dataset):
    info = dataset / "meta/info.json"
    before = info.read_text()
    try:
        info.write_text(before.replace('"franka"', '"aloha"'))
        code, output = replay(capsys, dataset)
    finally:
        info.write_text(before)
    assert code == 2
    assert "name one with --cell" in output.err


def test_a_dataset_remembers_its_scene(dataset):
    for number, task in enumerate(("press", "pick")):
        scene = open_dataset(dataset).sidecar[number]["scene"]
        assert (scene["task"], scene["seed"], scene["variation"]) == (task, SEED, "id")
        assert len(scene["positions"]) > len(CELL.joints)


def test_deviations_are_taken_at_the_recorded_times():
    times = np.linspace(0, 1, 11)
    measured = Samples(np.array([-0.1, 0.25, 0.5, 0.95]), np.zeros((4, 1)), np.full((4, 1), np.nan))
    executed = Executed(times, times[:, None], times[:, None], None, {}, {})
    found = deviations(["a"], measured, measured.positions, executed, executed.positions)
    expected = np.array([0.25, 0.5, 0.95])
    assert found["a"]["rms"] == pytest.approx(np.sqrt(np.mean(expected**2)))
    assert (found["a"]["max"], found["a"]["at"]) == (pytest.approx(0.95), 0.95)
    assert deviations(["g"], measured, measured.openings, executed, executed.openings) == {}
