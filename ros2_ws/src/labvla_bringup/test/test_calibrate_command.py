"""`labvla calibrate`: from a folder or from a robot to the cell file, and what it refuses."""

import json
import re
import sys
from dataclasses import replace

import numpy as np
import pytest
from rendered_board import RenderedBoard, place_in_view, robot_views
from standing_robot import StandingRobot

from labvla_bringup import cli
from labvla_bringup.cli.commands import calibrate
from labvla_bringup.doctor import Context, cameras, examine
from labvla_bringup.doctor.frame import Check
from labvla_data.calibration.board import Board
from labvla_data.calibration.frames import board_frame, mount_of, optical_of
from labvla_data.calibration.rigid import change_between, step
from labvla_data.calibration.views import read_views, write_views
from labvla_msgs.action import MoveTo
from labvla_policy.runtime.cell import find_cells, load_cell

CELL = load_cell("franka")
CAMERA = next(camera for camera in CELL.cameras if camera.name == "wrist")
BOARD_ON = board_frame(CELL, CAMERA)
PLACE = place_in_view(CELL, CAMERA, BOARD_ON, 0.4)
TRUTH = step(optical_of(CAMERA.mount), np.array([0.02, 0.03, -0.01, 0.005, 0.004, -0.006]))


@pytest.fixture(scope="module")
def views():
    renderer = RenderedBoard()
    seen = robot_views(renderer, Board(), CELL, CAMERA, TRUTH, BOARD_ON, PLACE, 12)
    renderer.close()
    return seen


@pytest.fixture(scope="module")
def folder(views, tmp_path_factory):
    path = tmp_path_factory.mktemp("views") / "wrist"
    write_views(path, views)
    return path


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A cell file that may be changed."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "franka.yaml"
    path.write_bytes(find_cells()["franka"].read_bytes())
    return path


def run(capsys, *words):
    try:
        code = cli.main(["calibrate", *map(str, words)])
    except SystemExit as end:  # argparse's own way
        code = end.code
    output = capsys.readouterr()
    return code, (json.loads(output.out) if "--json" in words and code in (0, 1) else output)


def error_of(file):
    change = change_between(TRUTH, optical_of(load_cell(file).cameras[-1].mount))
    return 1000 * np.linalg.norm(change[3:]), np.rad2deg(np.linalg.norm(change[:3]))


def test_a_folder_of_views_becomes_a_mount_in_the_cell_file(capsys, folder, file):
    code, report = run(capsys, "camera", file, "wrist", "--from", folder, "--json")
    assert code == 0
    millimetres, degrees = error_of(file)
    assert millimetres < 1.0
    assert degrees < 0.1
    assert report["residual_px"] < 0.4
    assert report["backup"].startswith(str(file))
    assert len(report["views"]) == 12
    assert load_cell(file).cameras[-1].calibration.views == 12


def test_a_dry_run_shows_the_change_and_writes_nothing(capsys, folder, file):
    before = file.read_bytes()
    code, output = run(capsys, "camera", file, "wrist", "--from", folder, "--dry-run")
    assert code == 0
    assert "+    calibration:" in output.out
    assert "standard error" in output.out
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == ["franka.yaml"]


def test_a_result_that_is_not_good_enough_is_not_written(capsys, folder, file):
    before = file.read_bytes()
    words = ("camera", file, "wrist", "--from", folder, "--max-residual", "0.01")
    code, output = run(capsys, *words)
    assert code == 1
    assert "nothing was written" in output.err
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("camera", "franka", "ear"), r"expected a camera of franka"),
        (("camera", "francka", "wrist"), r"did you mean 'franka'"),
        (("camera", "franka", "wrist", "--from", "nowhere"), r"there is none"),
        (("camera", "franka", "wrist", "--squares", "7"), r"COLUMNSxROWS"),
        (("camera", "franka", "wrist", "--square", "-3"), r"above 0"),
        (("camera", "franka", "wrist", "--board-at", "1,2,3"), r"six numbers"),
        (("camera", "franka", "wrist", "--from", "a", "--visit", "b"), r"not allowed with"),
        (("camera", "dual_arm", "front"), r"--board-on left_tool0 or right_tool0"),
        (("board", "--out", "board.svg"), r"\.pdf or \.png"),
        ((), r"expected one of board, camera, check"),
    ],
)
def test_wrong_use(capsys, monkeypatch, tmp_path, words, message):
    monkeypatch.chdir(tmp_path)
    code, output = run(capsys, *words)
    assert code == 2
    assert re.search(message, output.err)


def test_a_frame_that_the_cell_does_not_have_is_refused(capsys, folder, file):
    words = ("camera", file, "wrist", "--from", folder, "--board-on", "table")
    code, output = run(capsys, *words)
    assert code == 2
    assert "expected one of the frames bench, " in output.err


def test_the_board_is_written(capsys, tmp_path):
    code, report = run(capsys, "board", "--out", tmp_path / "b.png", "--squares", "6x4", "--json")
    assert code == 0
    assert (tmp_path / "b.png").stat().st_size > 1000
    assert report["board"].startswith("6 x 4 squares of 30 mm")


def push(file, by):
    """Write a mount that is off by so many metres."""
    camera = load_cell(file).cameras[-1]
    pushed = step(optical_of(camera.mount), np.array([0, 0, 0, by, 0, 0]))
    old, new = (
        f"position: [{', '.join(f'{1000 * value:.2f} mm' for value in mount.position)}]"
        for mount in (camera.mount, mount_of(pushed, camera.mount))
    )
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_a_camera_that_moved_is_found_out_from_a_folder(capsys, folder, file):
    run(capsys, "camera", file, "wrist", "--from", folder)
    code, report = run(capsys, "check", file, "wrist", "--from", folder, "--json")
    assert (code, report["within"]) == (0, True)
    push(file, 0.01)
    code, report = run(capsys, "check", file, "wrist", "--from", folder, "--json")
    assert (code, report["within"]) == (1, False)
    assert report["at_the_board"] == pytest.approx(0.01, rel=0.2)


def test_a_camera_without_a_calibration_cannot_be_checked(capsys, folder, file):
    code, output = run(capsys, "check", file, "wrist", "--from", folder)
    assert code == 2
    assert "has no calibration to compare with" in output.err


class Operator:
    """Moves the robot and presses Enter."""

    def __init__(self, robot, presses):
        self._robot, self._left = robot, presses

    def readline(self):
        self._left -= 1
        if self._left < 0:
            return "q\n"
        self._robot.move_on()
        return "\n"


def test_an_operator_collects_views_from_a_robot(capsys, monkeypatch, views, file):
    with StandingRobot(CELL, CAMERA, views) as robot:
        monkeypatch.setattr(sys, "stdin", Operator(robot, 40))
        code, output = run(
            capsys, "camera", file, "wrist", "--views", 8, "--save", file.parent / "kept"
        )
    assert code == 0, output.err
    assert len(read_views(file.parent / "kept").items) == 8
    assert error_of(file)[0] < 1.5


def test_the_arm_visits_the_postures_of_earlier_views(capsys, monkeypatch, views, folder, file):
    goals = []
    with StandingRobot(CELL, CAMERA, views) as robot:

        def move(_graph, _kind, name, goal, _feedback):
            goals.append((name, goal.speed_scale))
            if len(goals) == 3:
                return MoveTo.Result(success=False, reason="gate_box", message="in the way")
            robot.stand(dict(zip(goal.joint_names, goal.positions, strict=True)))
            return MoveTo.Result(success=True)

        monkeypatch.setattr(calibrate, "follow", move)
        words = ("--visit", folder, "--save", file.parent / "again")
        code, output = run(capsys, "camera", file, "wrist", *words)
    assert code == 0, output.err
    assert goals == [("labvla/move_to", 0.3)] * 12
    assert "posture 3: gate_box: in the way" in output.err
    # On a busy machine the robot's own messages may come late: such a view is told, not lost.
    taken = len(read_views(file.parent / "again").items)
    assert taken + output.err.count("not taken: ") == 11
    assert error_of(file)[0] < 1.5


def test_a_robot_that_trembles_is_told_and_nothing_is_taken(capsys, monkeypatch, views, file):
    with StandingRobot(CELL, CAMERA, views, trembles=0.01) as robot:
        monkeypatch.setattr(sys, "stdin", Operator(robot, 2))
        code, output = run(capsys, "camera", file, "wrist", "--save", file.parent / "kept")
    assert code == 2
    assert output.err.count("not taken: ") == 2
    assert "not taken: the arm moves: fr3_joint" in output.err


def test_joint_states_of_another_clock_are_told(capsys, monkeypatch, views, file):
    with StandingRobot(CELL, CAMERA, views, stale=1.5) as robot:
        monkeypatch.setattr(sys, "stdin", Operator(robot, 1))
        _, output = run(capsys, "camera", file, "wrist", "--save", file.parent / "kept")
    assert "the joint states are stale" in output.err


def check(name, function, context):
    return next(iter(examine(context, [Check(name, function)])))


def test_the_doctor_tells_which_mounts_were_measured(capsys, folder, file):
    before = check("calibration", cameras.calibration, Context(str(file)))
    assert (before.result, before.hint) == ("skip", "labvla calibrate camera franka front")
    run(capsys, "camera", file, "wrist", "--from", folder)
    after = check("calibration", cameras.calibration, Context(str(file)))
    assert after.result == "pass"
    assert "front: mount not measured" in after.detail
    assert "px from 12 views" in after.detail
    assert check("camera_drift", cameras.moved, Context(str(file))).hint.endswith("--cameras")


@pytest.mark.parametrize(("pushed", "result"), [(0.0, "pass"), (0.02, "fail")])
def test_the_doctor_looks_whether_the_camera_moved(
    capsys, monkeypatch, folder, file, views, pushed, result
):
    run(capsys, "camera", file, "wrist", "--from", folder)
    push(file, pushed)
    stack = type(
        "Record", (), {"namespace": "", "cell": "franka", "log_dir": str(file.parent / "no")}
    )
    monkeypatch.setattr(cameras, "running", lambda context: stack)
    with StandingRobot(CELL, CAMERA, replace(views, items=views.items[:1])):
        found = check("camera_drift", cameras.moved, Context(str(file), cameras=True))
    assert found.result == result, found.detail
    assert "px from where it should be" in found.detail
