"""Finds and loads cells, by name or by file."""

import dataclasses
import importlib
import os
from collections.abc import Iterator
from pathlib import Path

from labvla_policy.runtime.cell.arm_checks import ARM_CHECKS
from labvla_policy.runtime.cell.cell_checks import CELL_CHECKS
from labvla_policy.runtime.cell.model import Cell, Origin
from labvla_policy.runtime.cell.problems import CellError, Problem, did_you_mean, quoted
from labvla_policy.runtime.cell.yaml_reader import YamlReader

SEARCH_PATH_VARIABLE = "LABVLA_CELLS"
LARGEST_FILE = 250_000  # bytes; a cell has ten thousand, so more is another kind of file
_SUFFIXES = (".yaml", ".yml")


def load_cell(name_or_path: str | Path, *, any_name: bool = False) -> Cell:
    """Return a checked cell, or raise CellError with everything that is wrong with it.

    `any_name`: the file is a copy, and need not be called like the cell.
    """
    path = _locate(name_or_path)
    reader = YamlReader(str(path), {**ARM_CHECKS, **CELL_CHECKS})
    cell = reader.read(Cell, _text_of(path))
    if isinstance(cell, Cell) and cell.name != path.stem and not any_name:
        raise CellError(
            [
                Problem(
                    file=str(path),
                    line=reader.lines["name"],
                    key="name",
                    message=f"expected '{path.stem}' as the file is called, got '{cell.name}'",
                    hint="one name per cell: rename one of the two",
                )
            ]
        )
    if not isinstance(cell, Cell):
        raise CellError(sorted(reader.problems, key=lambda problem: problem.line or 0))
    return dataclasses.replace(cell, origin=Origin(file=str(path), lines=dict(reader.lines)))


def find_cells() -> dict[str, Path]:
    """Return every cell that can be loaded by name; a folder earlier in the path wins."""
    cells: dict[str, Path] = {}
    for folder in _folders():
        if folder.is_dir():
            for file in sorted(folder.iterdir()):
                if file.suffix in _SUFFIXES:
                    cells.setdefault(file.stem, file)
    return cells


def _folders() -> Iterator[Path]:
    """Where cells are looked for: the user's folders, the installation, the source checkout."""
    for folder in os.environ.get(SEARCH_PATH_VARIABLE, "").split(os.pathsep):
        if folder:
            yield Path(folder)
    try:
        ament = importlib.import_module("ament_index_python.packages")
        yield Path(ament.get_package_share_directory("labvla_bringup")) / "config" / "cells"
    except (ImportError, LookupError):
        pass  # no ROS 2 here, or the package is not installed in it
    for parent in Path(__file__).resolve().parents:
        if (parent / "ros2_ws").is_dir():
            yield parent / "config" / "cells"
            return


def _locate(name_or_path: str | Path) -> Path:
    text = str(name_or_path)
    if isinstance(name_or_path, Path) or os.sep in text or text.endswith(_SUFFIXES):
        return Path(name_or_path)
    cells = find_cells()
    if text in cells:
        return cells[text]
    message = f"expected the name of a cell or a .yaml file, got {quoted(text)}"
    hint = f"cells found: {', '.join(sorted(cells)) or 'none'}"
    if cells and (guess := did_you_mean(text, cells)).startswith("did"):
        hint = f"{guess} {hint}"
    raise CellError([Problem(file=text or "''", message=message, hint=hint)])


def _text_of(path: Path) -> str:
    def refusal(message: str, hint: str = "", line: int | None = None) -> CellError:
        return CellError([Problem(file=str(path), line=line, message=message, hint=hint)])

    try:
        if path.is_dir():
            raise refusal("expected a .yaml file, got a folder")
        if not path.exists():
            known = ", ".join(sorted(find_cells())) or "none"
            raise refusal("expected a file, got nothing there", f"cells found by name: {known}")
        if not path.is_file():
            raise refusal("expected a regular file, got a device or a pipe")
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        raise refusal(f"expected a readable file, got: {error}") from None
    if len(data) > LARGEST_FILE:
        raise refusal(f"expected at most {LARGEST_FILE} bytes, got more: this is no cell file")
    if not data:
        raise refusal("expected a cell description, got an empty file")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        byte = data[error.start]
        raise refusal(
            f"expected UTF-8 text, got the byte 0x{byte:02x}",
            "save the file as UTF-8 in your editor",
            line,
        ) from None
