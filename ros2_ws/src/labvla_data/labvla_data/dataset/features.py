"""What a frame of a dataset holds, and the check that it does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from labvla_data.dataset.errors import DatasetError

DType = Literal["float32", "float64", "int64", "bool", "string"]
PictureFormat = Literal["video", "png"]

STATE = "observation.state"
ACTION = "action"
IMAGES = "observation.images."
# What the exporter adds to every frame.
STAMPS = "stamps"  # ns, when joint state and pictures were taken
INTERVENTION = "intervention"  # a person moved the arms


@dataclass(frozen=True)
class Column:
    """Numbers or a text, the same in every frame."""

    dtype: DType
    names: tuple[str, ...]  # of the components; their number is the width

    @property
    def width(self) -> int:
        """Number of components."""
        return len(self.names)


@dataclass(frozen=True)
class Picture:
    """A colour picture."""

    height: int
    width: int


Feature = Column | Picture
Features = Mapping[str, Feature]

# Every dataset has these; the writer fills them.
COUNTERS: dict[str, Column] = {
    "timestamp": Column("float32", ("timestamp",)),
    "frame_index": Column("int64", ("frame_index",)),
    "episode_index": Column("int64", ("episode_index",)),
    "index": Column("int64", ("index",)),
    "task_index": Column("int64", ("task_index",)),
}
SUBTASK_INDEX = "subtask_index"


def columns(features: Features) -> dict[str, Column]:
    """Return the features that are no pictures."""
    return {name: f for name, f in features.items() if isinstance(f, Column)}


def pictures(features: Features) -> dict[str, Picture]:
    """Return the features that are pictures."""
    return {name: f for name, f in features.items() if isinstance(f, Picture)}


def check_features(features: Features, images: PictureFormat) -> None:
    """Refuse features that the readers of such datasets could not load."""
    if not columns(features):
        raise DatasetError("expected at least one feature that is no picture, got none")
    for name, feature in features.items():
        if "/" in name or not name:
            raise DatasetError(f"feature {name!r}: expected a name without '/'")
        if name in COUNTERS or name in (SUBTASK_INDEX, "task", "subtask"):
            raise DatasetError(f"feature {name!r}: the writer fills it itself; use another name")
        if isinstance(feature, Column):
            _check_column(name, feature)
        elif images == "video" and (feature.height % 2 or feature.width % 2):
            raise DatasetError(
                f"{name}: H.264 needs an even width and height, got {feature.width} x "
                f"{feature.height}; store the pictures as png, or change the camera's size"
            )


def _check_column(name: str, column: Column) -> None:
    if column.width == 0 or len(set(column.names)) < column.width:
        raise DatasetError(f"{name}: expected components with names of their own")
    if column.dtype == "string" and column.width != 1:
        raise DatasetError(f"{name}: expected one text a frame, got {column.width}")
    if "image" in name:
        # lerobot takes every such name for a picture's when it reads the statistics.
        raise DatasetError(f"{name}: 'image' may only be in the name of a picture")


def checked(name: str, feature: Feature, value: Any) -> Any:
    """Return a value as it is stored, or say what is wrong with it."""
    if isinstance(feature, Picture):
        return _checked_pixels(name, feature, value)
    if feature.dtype == "string":
        if not isinstance(value, str):
            raise DatasetError(f"{name}: expected a text, got {type(value).__name__}")
        return value
    return _checked_numbers(name, feature, value)


def _checked_pixels(name: str, picture: Picture, value: Any) -> NDArray[np.uint8]:
    pixels = np.asarray(value)
    expected = (picture.height, picture.width, 3)
    if pixels.dtype != np.uint8 or pixels.shape != expected:
        raise DatasetError(
            f"{name}: expected uint8 pixels of {expected}, got {pixels.dtype} of {pixels.shape}"
        )
    return pixels


def _checked_numbers(name: str, column: Column, value: Any) -> NDArray[Any]:
    numbers = np.atleast_1d(np.asarray(value))
    if numbers.shape != (column.width,):
        raise DatasetError(f"{name}: expected {column.width} numbers, got {numbers.shape}")
    if not np.can_cast(numbers.dtype, column.dtype, casting="same_kind"):
        raise DatasetError(f"{name}: expected {column.dtype}, got {numbers.dtype}")
    if numbers.dtype.kind == "f" and not np.isfinite(numbers).all():
        at = int(np.argmin(np.isfinite(numbers)))
        raise DatasetError(f"{name}: {column.names[at]} is {numbers[at]}, expected a finite number")
    return numbers.astype(column.dtype)
