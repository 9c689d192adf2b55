"""Views in a folder: pictures as PNG, and `views.json` with all that a calibration needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from labvla_data.calibration.errors import CalibrationError
from labvla_data.dataset import png
from labvla_data.dataset.errors import DatasetError
from labvla_data.json_files import JsonFileError, read_json, write_json
from labvla_policy.runtime.types import Pixels

INDEX = "views.json"
FORMAT = 1


@dataclass(frozen=True, eq=False)
class View:
    """A picture, and where the robot's joints were when it was taken."""

    name: str
    pixels: Pixels
    joints: dict[str, float]  # rad
    stamp: int  # ns, when the picture was taken


@dataclass(frozen=True, eq=False)
class Views:
    """Pictures of one camera."""

    camera: str
    camera_info: dict[str, Any] | None  # fields of the message
    items: tuple[View, ...]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of all pictures, or the error that they differ."""
        if not self.items:
            raise CalibrationError("no views were taken: there is nothing to calibrate from")
        sizes = {view.pixels.shape[1::-1]: view.name for view in self.items}
        if len(sizes) != 1:
            shown = "; ".join(f"{name} {w} x {h}" for (w, h), name in sizes.items())
            raise CalibrationError(f"expected pictures of one size, got {shown}")
        return next(iter(sizes))


class ViewFolder:
    """Writes views as they come: what has been collected is not lost with a later error."""

    def __init__(self, folder: Path, camera: str) -> None:
        if (folder / INDEX).exists():
            raise CalibrationError(f"{folder} has views already: take another folder")
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._index: dict[str, Any] = {
            "format": FORMAT,
            "camera": camera,
            "camera_info": None,
            "views": [],
        }

    def add(self, view: View, camera_info: dict[str, Any] | None) -> None:
        """Write one view."""
        picture = f"{view.name}.png"
        (self._folder / picture).write_bytes(png.encode(view.pixels))
        self._index["camera_info"] = camera_info
        self._index["views"].append(
            {"name": view.name, "picture": picture, "joints": view.joints, "stamp": view.stamp}
        )
        write_json(self._folder / INDEX, self._index)


def write_views(folder: Path, views: Views) -> None:
    """Write views into a folder that has none."""
    target = ViewFolder(folder, views.camera)
    for view in views.items:
        target.add(view, views.camera_info)


def read_views(folder: Path) -> Views:
    """Read a folder of views, or say what is wrong with it."""
    path = folder / INDEX
    try:
        index = read_json(path)
    except JsonFileError as error:
        raise CalibrationError(str(error)) from None
    if not isinstance(index, dict) or index.get("format") != FORMAT:
        raise CalibrationError(f"{path}: expected views of format {FORMAT}")
    try:
        info = index["camera_info"]
        views = tuple(_read_view(folder, entry) for entry in index["views"])
        if len({view.name for view in views}) != len(views):
            raise ValueError("two views have the same name")
        if info is not None and not isinstance(info, dict):
            raise TypeError("camera_info")
        return Views(str(index["camera"]), info, views)
    except (KeyError, TypeError, ValueError) as error:
        raise CalibrationError(f"{path}: a key is missing or of the wrong kind: {error}") from None


def _read_view(folder: Path, entry: dict[str, Any]) -> View:
    picture = str(entry["picture"])
    if Path(picture).name != picture:
        raise CalibrationError(f"{folder / INDEX}: expected a picture beside it, got {picture!r}")
    joints = {str(name): float(value) for name, value in entry["joints"].items()}
    if not np.isfinite(list(joints.values())).all():
        raise CalibrationError(f"{folder / INDEX}: {entry['name']}: a joint is not finite")
    try:
        pixels = png.decode((folder / picture).read_bytes())
    except (OSError, DatasetError) as error:
        raise CalibrationError(f"{folder / picture}: cannot be read: {error}") from None
    return View(str(entry["name"]), pixels, joints, int(entry["stamp"]))
