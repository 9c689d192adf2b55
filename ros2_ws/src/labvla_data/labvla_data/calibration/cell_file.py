"""Writes a mount into a cell file as a person would: only its numbers change, comments stay."""

from __future__ import annotations

import difflib
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from labvla_data.calibration.errors import CalibrationError
from labvla_data.files import replace_text
from labvla_policy.runtime.cell import Cell, CellError, Pose, load_cell
from labvla_policy.runtime.cell.hashing import normalised
from labvla_policy.runtime.cell.model import Calibration, Camera, Mount

NOTE = "written by `labvla calibrate camera`"


@dataclass(frozen=True)
class Edit:
    """A cell file before and after."""

    path: Path
    before: str
    after: str

    @property
    def diff(self) -> str:
        """What changes, as `diff -u` shows it."""
        return "".join(
            difflib.unified_diff(
                self.before.splitlines(keepends=True),
                self.after.splitlines(keepends=True),
                str(self.path),
                f"{self.path} (calibrated)",
            )
        )

    def write(self) -> Path:
        """Put the new text in place of the old one; return where the old one is kept."""
        backup = _free_name(self.path)
        try:
            if _text_of(self.path) != self.before:
                raise CalibrationError(f"{self.path} was changed meanwhile: run the command again")
            shutil.copy2(self.path, backup)
            replace_text(self.path, self.after)
            shutil.copymode(backup, self.path)
        except OSError as error:
            raise CalibrationError(
                f"{self.path}: cannot be written: {error}. Copy the file into a folder of your own "
                "and name that folder in LABVLA_CELLS"
            ) from None
        return backup


def edit_of(cell: Cell, camera: Camera, mount: Mount, calibration: Calibration) -> Edit:
    """Return the change of the cell's file that gives a camera its mount, checked by reading it."""
    # The installed file is a link into the source tree: the file itself is to change.
    path = Path(cell.origin.file).resolve()
    before = _text_of(path)
    after = _with_mount(path, before, camera.name, mount)
    after = _with_calibration(path, after, camera.name, calibration)
    _check(path, cell, camera, mount, after)
    return Edit(path, before, after)


def _with_mount(path: Path, text: str, camera: str, mount: Mount) -> str:
    key, node = _entry(_camera(path, text, camera), "mount")
    if key is None or not isinstance(node, MappingNode):
        raise CalibrationError(f"{path}: expected the camera {camera!r} with a mount")
    position = _list(path, node, "position")
    if _entry(node, "rpy")[1] is None:
        place = _entry(node, "position")[0]
        between = ", " if node.flow_style else _newline(text) + _indent(place)
        return _replaced(text, [(position, f"{_lengths(mount)}{between}rpy: {_angles(mount)}")])
    return _replaced(
        text, [(position, _lengths(mount)), (_list(path, node, "rpy"), _angles(mount))]
    )


def _with_calibration(path: Path, text: str, camera: str, calibration: Calibration) -> str:
    node = _camera(path, text, camera)
    if node.flow_style:
        raise CalibrationError(
            f"{path}: expected the camera {camera!r} with one key on each line, got it in braces"
        )
    mount_key, mount = _entry(node, "mount")
    assert mount_key is not None
    assert mount is not None
    old_key, old = _entry(node, "calibration")
    indent, newline = _indent(mount_key), _newline(text)
    block = newline.join(indent + line for line in _lines(calibration)) + newline
    if old_key is not None and old is not None:
        begin = text.rindex("\n", 0, old_key.start_mark.index) + 1
        return text[:begin] + block + text[_line_end(text, _last(old)) :]
    end = _line_end(text, _last(mount))
    missing = "" if text[:end].endswith("\n") else newline
    return text[:end] + missing + block + text[end:]


def _lines(calibration: Calibration) -> list[str]:
    board, lens = calibration.board, calibration.lens
    lines = [
        f"calibration:  # {NOTE}",
        f"  date: '{calibration.date}'",
        f"  views: {calibration.views}",
        f"  residual: {calibration.residual:.3g} px",
    ]
    if calibration.position_error is not None and calibration.rotation_error is not None:
        lines += [
            f"  position_error: {calibration.position_error * 1000:.2g} mm",
            f"  rotation_error: {np.rad2deg(calibration.rotation_error):.2g} deg",
        ]
    focal, centre = ([f"{value:.3f} px" for value in pair] for pair in (lens.focal, lens.centre))
    return [
        *lines,
        "  board:",
        f"    columns: {board.columns}",
        f"    rows: {board.rows}",
        f"    square: {board.square * 1000:.6g} mm",
        f"    marker: {board.marker * 1000:.6g} mm",
        f"    dictionary: {board.dictionary}",
        "  board_place:",
        f"    frame: {calibration.board_place.frame}",
        f"    position: {_lengths(calibration.board_place)}",
        f"    rpy: {_angles(calibration.board_place)}",
        "  lens:",
        f"    width: {lens.width}",
        f"    height: {lens.height}",
        f"    focal: {_list_of(focal)}",
        f"    centre: {_list_of(centre)}",
        f"    distortion: {_list_of([f'{value:.6g}' for value in lens.distortion])}",
    ]


def _lengths(pose: Pose) -> str:
    return _list_of([f"{value * 1000:.2f} mm" for value in pose.position])


def _angles(pose: Pose) -> str:
    return _list_of([f"{np.rad2deg(value):.4f} deg" for value in pose.rpy])


def _list_of(values: Sequence[str]) -> str:
    return f"[{', '.join(values)}]"


def _camera(path: Path, text: str, name: str) -> MappingNode:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    cameras = _entry(root, "cameras")[1] if isinstance(root, MappingNode) else None
    for node in cameras.value if isinstance(cameras, SequenceNode) else ():
        if isinstance(node, MappingNode) and getattr(_entry(node, "name")[1], "value", "") == name:
            return node
    raise CalibrationError(f"{path}: expected the camera {name!r}, it is not there any more")


def _entry(mapping: MappingNode, name: str) -> tuple[ScalarNode | None, Node | None]:
    for key, value in mapping.value:
        if key.value == name:
            return key, value
    return None, None


def _list(path: Path, mount: MappingNode, name: str) -> SequenceNode:
    node = _entry(mount, name)[1]
    if not isinstance(node, SequenceNode) or not node.flow_style:
        line = node.start_mark.line + 1 if node is not None else 0
        raise CalibrationError(
            f"{path}:{line}: expected `{name}` in brackets, as [0, 0, 0]: write it so, then it "
            "can be replaced without touching anything else"
        )
    return node


def _replaced(text: str, changes: Sequence[tuple[Node, str]]) -> str:
    for node, fresh in sorted(changes, key=lambda change: -change[0].start_mark.index):
        text = text[: node.start_mark.index] + fresh + text[node.end_mark.index :]
    return text


def _last(node: Node) -> Node:
    """Return what a value ends with: a block's own end mark lies behind the comments after it."""
    if isinstance(node, MappingNode) and not node.flow_style and node.value:
        return _last(node.value[-1][1])
    if isinstance(node, SequenceNode) and not node.flow_style and node.value:
        return _last(node.value[-1])
    return node


def _line_end(text: str, node: Node) -> int:
    end = text.find("\n", node.end_mark.index)
    return len(text) if end < 0 else end + 1


def _indent(key: Node | None) -> str:
    return " " * (key.start_mark.column if key is not None else 0)


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _text_of(path: Path) -> str:
    try:
        # Byte for byte: no translation of line ends.
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CalibrationError(f"{path}: cannot be read: {error}") from None


def _check(path: Path, cell: Cell, camera: Camera, mount: Mount, text: str) -> None:
    """Read what would be written: it has to be the same cell but for this one mount."""
    trial = path.with_name(f".{path.name}.{os.getpid()}.trial")
    try:
        trial.write_bytes(text.encode())
        read = load_cell(trial, any_name=True)
    except CellError as error:
        raise CalibrationError(f"{path}: the mount does not fit the cell: {error}") from None
    except OSError as error:
        raise CalibrationError(
            f"{path.parent}: cannot be written: {error}. Copy the cell into a folder of your own "
            "and name that folder in LABVLA_CELLS"
        ) from None
    finally:
        trial.unlink(missing_ok=True)
    index = [other.name for other in cell.cameras].index(camera.name)
    written = read.cameras[index]
    off = np.abs(written.mount.matrix() - mount.matrix()).max()
    restored = replace(written, mount=camera.mount, calibration=camera.calibration)
    cameras = (*read.cameras[:index], restored, *read.cameras[index + 1 :])
    if off > 1e-4 or normalised(replace(read, cameras=cameras)) != normalised(cell):
        raise CalibrationError(
            f"{path}: the file cannot be changed safely: enter the mount by hand (--dry-run "
            "prints it), or write the camera as in config/cells/franka.yaml"
        )


def _free_name(path: Path) -> Path:
    """Return the name of a backup that is not taken; its ending keeps it from being a cell."""
    number = 1
    while (backup := path.with_name(f"{path.name}.bak{number}")).exists():
        number += 1
    return backup
