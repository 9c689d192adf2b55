"""A wrong cell file: exit code 2, one screen, file and line, and nothing starts."""

import pytest

from labvla_bringup import registry
from labvla_bringup.resources import config

ONE_SCREEN = 40  # lines


def line_of(text, part):
    return next(n for n, line in enumerate(text.splitlines(), 1) if part in line)


def swap(old, new):
    def change(text):
        assert text.count(old) >= 1
        changed = text.replace(old, new, 1)
        return changed, line_of(text, old)

    return change


BREAKAGES = {
    "typo_key": ("franka", swap("joint_states:", "joint_sates:")),
    "wrong_unit": ("franka", swap("row_rate: 30 Hz", "row_rate: 30 mm")),
    "duplicate_joint": ("franka", swap("fr3_joint2", "fr3_joint1")),
    "two_arms_for_one": ("franka", swap("layout: single_8", "layout: dual_14")),
    "14_wide_on_two_frankas": ("dual_franka", swap("layout: dual_16", "layout: dual_14")),
}


@pytest.mark.parametrize("command", ["up", "demo"])
@pytest.mark.parametrize("breakage", sorted(BREAKAGES))
def test_refused_with_file_and_line(labvla, tmp_path, command, breakage):
    cell, change = BREAKAGES[breakage]
    text, line = change(config(f"cells/{cell}.yaml").read_text())
    file = tmp_path / f"{cell}.yaml"
    file.write_text(text)
    done = labvla(command, str(file))
    assert done.returncode == 2
    assert f"{cell}.yaml:{line}: " in " ".join(done.stderr.split())  # however long the lines
    assert len(done.stderr.splitlines()) <= ONE_SCREEN
    assert done.stdout == ""
    assert registry.current() is None


def test_empty_camera_list(labvla, tmp_path):
    text = config("cells/franka.yaml").read_text()
    start = text.index("cameras:")
    end = text.index("\nworkspace:")
    file = tmp_path / "franka.yaml"
    file.write_text(text[:start] + "cameras: []\n" + text[end:])
    done = labvla("up", str(file))
    assert done.returncode == 2
    assert f"franka.yaml:{line_of(text, 'cameras:')}: " in done.stderr


def test_not_utf_8(labvla, tmp_path):
    file = tmp_path / "franka.yaml"
    file.write_bytes(config("cells/franka.yaml").read_bytes() + b"# caf\xe9\n")
    done = labvla("up", str(file))
    assert done.returncode == 2
    assert "UTF-8" in done.stderr


def test_unknown_name(labvla):
    done = labvla("up", "frankb")
    assert done.returncode == 2
    assert "franka" in done.stderr
