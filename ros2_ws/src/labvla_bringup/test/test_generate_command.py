"""`labvla generate`: demonstrations from the command line."""

import json

import pytest

from labvla_bringup import cli
from labvla_data.dataset import NoRoomError
from labvla_sim.demonstrations import attempt as attempts
from labvla_sim.demonstrations.reasons import Refused

SMALL = ("--size", "64", "--cameras", "front", "--workers", "1")


def never(*_, **__):
    raise Refused("failed", "the button is not pressed")


def full(*_, **__):
    raise NoRoomError("no room left on the disk")


def test_one_episode_and_its_report(tmp_path, capsys):
    out, report = tmp_path / "demos", tmp_path / "report.json"
    words = ["press", "--episodes", "1", "--seed", "3", "--out", str(out), *SMALL]
    assert cli.main(["generate", *words, "--json", "--report", str(report)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == json.loads(report.read_text())
    assert told["dataset"] == str(out)
    assert (told["episodes"], told["tasks"]) == (1, {"press": 1})
    assert told["seconds"] == pytest.approx(told["frames"] / 30)
    assert cli.main(["data", "validate", str(out)]) == 0
    assert cli.main(["data", "preflight", str(out), "--cell", "franka"]) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("dance", "--episodes", "1"), "press, pick"),
        (("pick", "--episodes", "0"), "above 0"),
        (("pick",), "--episodes"),
        (("pick", "--episodes", "1", "--seed=-1"), "0 or more"),
        (("pick", "--episodes", "1", "--size", "65"), "even number"),
        (("pick", "--episodes", "1", "--cameras", "top"), "front, side, wrist"),
        (("pick", "--episodes", "1", "--cell", "nonsuch"), "nonsuch"),
        (("pick", "--episodes", "1", "--led-by", "nowhere"), "--led-by: nowhere: no such folder"),
    ],
)
def test_wrong_use_is_named(words, said, tmp_path, capsys):
    try:
        code = cli.main(["generate", *words, "--out", str(tmp_path / "demos")])
    except SystemExit as error:
        code = error.code
    assert code == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_else_stays_as_it_is(tmp_path, capsys):
    (tmp_path / "thesis.tex").write_text("x")
    words = ["pick", "--episodes", "1", "--out", str(tmp_path)]
    assert cli.main(["generate", *words]) == 2
    assert "not made by `labvla generate`" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("what", "code", "said"),
    [(never, 1, "the button is not pressed"), (full, 3, "no room left on the disk")],
)
def test_what_goes_wrong_decides_the_exit_code(what, code, said, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(attempts, "demonstrate", what)
    words = ["press", "--episodes", "1", "--out", str(tmp_path / "demos"), *SMALL]
    assert cli.main(["generate", *words]) == code
    assert said in capsys.readouterr().err
    assert not (tmp_path / "demos").exists()


def test_a_cell_that_cannot_be_simulated_is_refused(tmp_path, capsys):
    words = ["press", "--cell", "ur5e", "--episodes", "1", "--out", str(tmp_path / "demos")]
    assert cli.main(["generate", *words]) == 1
    assert "ur5e" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
