"""Write the MoveIt configuration of a cell: config/moveit holds what this writes."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from labvla_policy.runtime.cell import CellError, load_cell
from labvla_policy.runtime.moveit import files


def main() -> int:
    """Write the files; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m labvla_bringup.moveit", description=__doc__)
    parser.add_argument("cell", help="name or file of a cell")
    parser.add_argument("folder", type=Path, help="where the files go; made if it is not there")
    arguments = parser.parse_args()
    try:
        cell = load_cell(arguments.cell)
    except CellError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for name, text in files(cell).items():
        (arguments.folder / name).write_text(text)
        sys.stdout.write(f"{arguments.folder / name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
