"""The files of settings that come along."""

from __future__ import annotations

from pathlib import Path

from labvla_train.errors import TrainError

_FOLDER = Path(__file__).parent / "configs"


def find_beside(name: str, folder: Path) -> Path:
    """Return a file of this name in a folder, or else the one that is shipped."""
    shipped = _FOLDER / name
    beside = folder / name
    return shipped if shipped.is_file() and not beside.exists() else beside


def find_settings(name: str) -> Path:
    """Return a file by its path, or one that is shipped by its name."""
    path = Path(name)
    if path.suffix or path.exists():
        return path
    shipped = _FOLDER / f"{name}.yaml"
    if not shipped.is_file():
        known = ", ".join(sorted(path.stem for path in _FOLDER.glob("*.yaml")))
        raise TrainError(f"{name}: expected a file of settings, or one of {known}")
    return shipped
