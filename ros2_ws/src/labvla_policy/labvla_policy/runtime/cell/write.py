"""A description back into a file, for processes that are told which file to read."""

from __future__ import annotations

from pathlib import Path

import yaml

from labvla_policy.runtime.cell.hashing import normalised
from labvla_policy.runtime.cell.load import load_cell
from labvla_policy.runtime.cell.model import Cell


def write_cell(cell: Cell, path: Path) -> Cell:
    """Write a cell's file, and return the cell as it is read from there."""
    path.write_text(yaml.safe_dump(written(cell), sort_keys=False))
    return load_cell(path)


def written(cell: Cell) -> object:
    """Return the cell as nested values, as a cell file has them."""
    return _plain(normalised(cell))


def _plain(value: object) -> object:
    """Return nested values without what the file format writes as the word `none`."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
