"""A calibration changes a cell file's numbers and leaves everything else byte for byte."""

import difflib
import os
import re
from dataclasses import replace

import numpy as np
import pytest

from labvla_data.calibration.cell_file import edit_of
from labvla_data.calibration.errors import CalibrationError
from labvla_policy.runtime.cell import find_cells, load_cell
from labvla_policy.runtime.cell.model import (
    BoardPlace,
    Calibration,
    CalibrationBoard,
    CalibrationLens,
    Mount,
)

MOUNT = (0.0412345, -0.0719, 0.05), (0.0123, -1.8, -1.5)
CALIBRATION = Calibration(
    date="2026-11-21", views=14, residual=0.213, position_error=0.0004, rotation_error=0.0005,
    board=CalibrationBoard(columns=7, rows=5, square=0.03, marker=0.022, dictionary="5X5_100"),
    board_place=BoardPlace(frame="bench", position=(0.4, -0.1, 0.0), rpy=(3.1, 0.0, 1.5)),
    lens=CalibrationLens(
        width=640, height=480, focal=(461.0, 461.2), centre=(319.5, 239.5),
        distortion=(0.01, -0.02, 1e-5, 0.0, 0.0),
    ),
)  # fmt: skip


def copied(folder, name="franka", change=None):
    path = folder / f"{name}.yaml"
    shipped = find_cells()[name].read_bytes().decode()
    changed = shipped if change is None else change(shipped)
    assert change is None or changed != shipped
    path.write_bytes(changed.encode())
    return path


def calibrated(path, name="wrist", calibration=CALIBRATION):
    cell = load_cell(path)
    camera = next(camera for camera in cell.cameras if camera.name == name)
    mount = Mount(frame=camera.mount.frame, position=MOUNT[0], rpy=MOUNT[1])
    return edit_of(cell, camera, mount, calibration)


def changed_lines(edit):
    lines = difflib.ndiff(edit.before.splitlines(True), edit.after.splitlines(True))
    return [line for line in lines if line[0] in "+-"]


@pytest.mark.parametrize("name", ["franka", "ur5e", "dual_arm", "dual_franka"])
def test_only_the_mount_changes_and_the_calibration_is_added(tmp_path, name):
    path = copied(tmp_path, name)
    before = load_cell(path)
    camera = before.cameras[-1].name
    edit = calibrated(path, camera)
    removed = [line for line in changed_lines(edit) if line[0] == "-"]
    assert len(removed) == 1
    assert "mount:" in removed[0]
    edit.write()
    after = load_cell(path)
    assert after.cameras[-1].mount.position == pytest.approx(MOUNT[0], abs=1e-5)
    assert after.cameras[-1].mount.rpy == pytest.approx(MOUNT[1], abs=1e-6)
    found = after.cameras[-1].calibration
    assert (found.date, found.views, found.board) == ("2026-11-21", 14, CALIBRATION.board)
    assert found.lens.distortion == pytest.approx(CALIBRATION.lens.distortion)
    assert after.cameras[:-1] == before.cameras[:-1]
    assert (after.arms, after.workspace, after.policy) == (
        before.arms, before.workspace, before.policy
    )  # fmt: skip


def test_the_old_file_is_kept_and_no_backup_is_written_over(tmp_path):
    path = copied(tmp_path)
    first = path.read_bytes()
    backup = calibrated(path).write()
    second = path.read_bytes()
    other = calibrated(path, calibration=replace(CALIBRATION, views=20)).write()
    assert backup.read_bytes() == first
    assert other.read_bytes() == second
    assert backup != other
    assert sorted(find_in(tmp_path)) == ["franka.yaml", backup.name, other.name]


def find_in(folder):
    return [path.name for path in folder.iterdir()]


def test_a_second_calibration_replaces_the_first(tmp_path):
    path = copied(tmp_path)
    calibrated(path).write()
    again = replace(CALIBRATION, views=20, position_error=None, rotation_error=None)
    calibrated(path, calibration=again).write()
    text = path.read_text()
    assert text.count("calibration:") == 1
    assert load_cell(path).cameras[-1].calibration.views == 20
    assert "position_error" not in text


def test_nothing_is_written_before_it_is_asked_for(tmp_path):
    path = copied(tmp_path)
    before = path.read_bytes()
    diff = calibrated(path).diff
    assert path.read_bytes() == before
    assert "+    calibration:  # written by `labvla calibrate camera`" in diff
    assert find_in(tmp_path) == ["franka.yaml"]


def with_comments(text):
    return re.sub(r"(mount: \{frame: fr3_link8.*\})", r"\1  # drawn, not measured", text)


def with_block_mount(text):
    return re.sub(
        r"    mount: \{frame: fr3_link8, position: (\[.*?\]), rpy: (\[.*?\])\}",
        r"    mount:\n      # drawn\n      frame: fr3_link8\n      rpy: \2  # turned\n"
        r"      position: \1\n    # after",
        text,
    )


def without_rpy(text):
    return re.sub(r"(mount: \{frame: fr3_link8, position: \[.*?\]), rpy: \[.*?\]\}", r"\1}", text)


def block_without_rpy(text):
    text = re.sub(r"      rpy: .*\n", "", with_block_mount(text))
    assert "      position" in text
    return text


def with_windows_lines(text):
    return text.replace("\n", "\r\n")


def with_byte_order_mark(text):
    return "\ufeff" + text


def at_the_end_of_the_file(text):
    """The cameras last, and no line end after them."""
    begin = text.index("cameras:")
    end = text.index("\nworkspace:")
    return (text[:begin] + text[end + 1 :].rstrip("\n") + "\n" + text[begin:end]).rstrip()


@pytest.mark.parametrize(
    "change",
    [
        with_comments,
        with_block_mount,
        without_rpy,
        block_without_rpy,
        with_windows_lines,
        with_byte_order_mark,
        at_the_end_of_the_file,
    ],
)
def test_whatever_the_file_looks_like_all_else_stays(tmp_path, change):
    path = copied(tmp_path, change=change)
    edit = calibrated(path)
    for line in changed_lines(edit):
        if line[0] == "-" and "position:" not in line and "rpy:" not in line:
            assert line[2:].rstrip() in edit.after  # the last line got its line end
    kept = [line for line in edit.before.splitlines() if "#" in line]
    assert all(line.partition("#")[2] in edit.after for line in kept)
    assert ("\r\n" in edit.after) == ("\r\n" in edit.before)
    assert edit.after.count("\r\n") in (0, edit.after.count("\n"))
    edit.write()
    assert load_cell(path).cameras[-1].mount.position == pytest.approx(MOUNT[0], abs=1e-5)


@pytest.mark.parametrize("name", ["franka", "dual_arm"])
def test_the_first_camera_can_be_calibrated_as_well(tmp_path, name):
    path = copied(tmp_path, name)
    edit = calibrated(path, "front")
    edit.write()
    cell = load_cell(path)
    assert cell.cameras[0].calibration is not None
    assert all(camera.calibration is None for camera in cell.cameras[1:])


def test_what_was_measured_changes_no_hash_but_the_mount_does(tmp_path):
    path = copied(tmp_path)
    calibrated(path).write()
    first = load_cell(path)
    calibrated(path, calibration=replace(CALIBRATION, residual=0.9)).write()
    assert load_cell(path).hash == first.hash
    assert first.hash != load_cell("franka").hash


def test_a_list_that_is_no_bracket_is_refused_with_its_line(tmp_path):
    def dashes(text):
        return with_block_mount(text).replace(
            re.search(r"      position: (.*)\n    # after", with_block_mount(text))[0],
            "      position:\n        - 0\n        - 0\n        - 0",
        )

    path = copied(tmp_path, change=dashes)
    with pytest.raises(CalibrationError, match=r"franka.yaml:\d+: expected `position` in brackets"):
        calibrated(path)


def test_a_file_that_changed_meanwhile_is_left_alone(tmp_path):
    path = copied(tmp_path)
    edit = calibrated(path)
    path.write_text(edit.before + "# a late remark\n")
    with pytest.raises(CalibrationError, match="changed meanwhile"):
        edit.write()
    assert path.read_text().endswith("# a late remark\n")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    path = copied(tmp_path)
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(CalibrationError, match="LABVLA_CELLS"):
            calibrated(path)
    finally:
        tmp_path.chmod(0o700)


def test_the_mode_of_the_file_stays(tmp_path):
    path = copied(tmp_path)
    path.chmod(0o640)
    calibrated(path).write()
    assert path.stat().st_mode & 0o777 == 0o640


def test_rounding_costs_less_than_calibration_knows(tmp_path):
    path = copied(tmp_path)
    calibrated(path).write()
    written = load_cell(path).cameras[-1].mount.matrix()
    meant = Mount(frame="x", position=MOUNT[0], rpy=MOUNT[1]).matrix()
    assert np.abs(written - meant).max() < 1e-5
