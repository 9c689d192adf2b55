"""`labvla shot`: pictures of the cell from the command line."""

import json

import pytest
from PIL import Image

from labvla_bringup import cli

SMALL = ("--quality", "camera", "--size", "64x48")


def test_all_cameras_side_by_side(tmp_path, capsys):
    out = tmp_path / "cameras.png"
    words = ("--view", "all", "--task", "pick", "--seed", "2", "--out", str(out), "--json")
    assert cli.main(["shot", "franka", *SMALL, *words]) == 0
    assert Image.open(out).size == (3 * 64 + 2 * 8, 48)
    told = json.loads(capsys.readouterr().out)
    assert told["file"] == str(out)
    assert (told["width"], told["height"]) == Image.open(out).size
    assert (told["task"], told["seed"], told["variation"]) == ("pick", 2, "id")
    assert told["instruction"]


def test_the_overview_is_a_picture_of_something(tmp_path):
    out = tmp_path / "new" / "cell.jpg"
    words = ("--quality", "camera", "--size", "160x100", "--out", str(out))
    assert cli.main(["shot", *words]) == 0
    picture = Image.open(out)
    assert picture.size == (160, 100)
    assert len(picture.getcolors(maxcolors=100_000)) > 200


def test_another_seed_is_another_picture(tmp_path):
    def picture(seed):
        out = tmp_path / f"{seed}.png"
        words = ("--task", "press", "--seed", str(seed), "--view", "front", "--out", str(out))
        assert cli.main(["shot", *SMALL, *words]) == 0
        return Image.open(out).tobytes()

    assert picture(1) != picture(2)


def test_without_out_it_goes_where_results_go(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["shot", "franka", "--view", "wrist", *SMALL]) == 0
    assert Image.open("out/shots/franka-wrist.png").size == (64, 48)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nonsuch",), "nonsuch"),
        (("--view", "top"), "overview"),
        (("--size", "big"), "WIDTHxHEIGHT"),
        (("--size", "9000x100"), "2560x1600"),
        (("--size", "0x100"), "WIDTHxHEIGHT"),
        (("--task", "dance"), "pick"),
        (("--seed", "3"), "--task"),
        (("--task", "pick", "--seed=-3"), "0 or more"),
        (("--out", "cell.gif"), ".png"),
    ],
)
def test_wrong_use_is_said(words, said, capsys):
    try:
        code = cli.main(["shot", *words])
    except SystemExit as stopped:  # argparse's own way
        code = stopped.code
    assert code == 2
    assert said in capsys.readouterr().err


def test_an_arm_that_cannot_be_simulated_is_refused(capsys):
    assert cli.main(["shot", "ur5e", *SMALL]) == 1
    assert "ur5e" in capsys.readouterr().err
