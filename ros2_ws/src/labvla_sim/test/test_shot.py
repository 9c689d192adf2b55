"""Pictures from the command line."""

import pytest
from PIL import Image

from labvla_sim import shot


def test_all_cameras_side_by_side(tmp_path):
    out = tmp_path / "cameras.png"
    arguments = ["franka", "--out", str(out), "--camera", "all", "--quality", "camera"]
    assert shot.main([*arguments, "--size", "64x48", "--task", "pick", "--seed", "2"]) == 0
    assert Image.open(out).size == (3 * 64 + 2 * 8, 48)


def test_the_overview_is_a_picture_of_something(tmp_path):
    out = tmp_path / "new" / "cell.png"
    arguments = ["franka", "--out", str(out), "--quality", "camera", "--size", "160x100"]
    assert shot.main(arguments) == 0
    assert len(Image.open(out).getcolors(maxcolors=100_000)) > 200


@pytest.mark.parametrize("wrong", [["--camera", "top"], ["--size", "big"], ["--task", "dance"]])
def test_wrong_use_is_said(tmp_path, wrong, capsys):
    with pytest.raises(SystemExit) as stopped:
        shot.main(["franka", "--out", str(tmp_path / "x.png"), *wrong])
    assert stopped.value.code == 2
    assert "expected" in capsys.readouterr().err or wrong[0] == "--task"


def test_an_unknown_cell_is_refused(tmp_path, capsys):
    assert shot.main(["nonsuch", "--out", str(tmp_path / "x.png")]) == 2
    assert "nonsuch" in capsys.readouterr().err
