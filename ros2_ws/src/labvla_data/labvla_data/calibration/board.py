"""ChArUco boards: which one is meant, where its corners are, and how it is found in a picture.

The board's frame has its origin at the outer corner of the top left square, x along the top edge,
y down the left edge and z into the paper, seen as printed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np

from labvla_data.calibration.errors import CalibrationError, OpenCvLackError
from labvla_policy.runtime.types import Array, Pixels

DICTIONARIES = tuple(
    f"{bits}X{bits}_{count}" for bits in (4, 5, 6, 7) for count in (50, 100, 250, 1000)
)
MOST_SQUARES = 30  # each way
# A marker that reaches its square's edge has no white border left and is not found.
WIDEST_MARKER = 0.9
NARROWEST_MARKER = 0.4


@dataclass(frozen=True)
class Board:
    """A ChArUco board: columns x rows of squares, a marker in every white one."""

    columns: int = 7
    rows: int = 5
    square: float = 0.030  # m
    marker: float = 0.022  # m
    dictionary: str = "5X5_100"

    def __post_init__(self) -> None:
        for what, squares in (("columns", self.columns), ("rows", self.rows)):
            if not 3 <= squares <= MOST_SQUARES:
                raise CalibrationError(
                    f"board: expected 3 to {MOST_SQUARES} {what} of squares, got {squares}"
                )
        if not 0.001 <= self.square <= 1.0:
            raise CalibrationError(
                f"board: expected squares of 1 mm to 1 m, got {self.square * 1000:g} mm"
            )
        if not NARROWEST_MARKER <= self.marker / self.square <= WIDEST_MARKER:
            raise CalibrationError(
                f"board: expected markers of {NARROWEST_MARKER:.0%} to {WIDEST_MARKER:.0%} of a "
                f"square ({self.square * 1000:g} mm), got {self.marker * 1000:g} mm"
            )
        if self.dictionary not in DICTIONARIES:
            raise CalibrationError(
                f"board: expected a dictionary of {', '.join(DICTIONARIES)}; got "
                f"{self.dictionary!r}"
            )
        held = int(self.dictionary.partition("_")[2])
        if self.markers > held:
            raise CalibrationError(
                f"board: {self.columns} x {self.rows} squares need {self.markers} markers, the "
                f"dictionary {self.dictionary} has {held}"
            )

    def __str__(self) -> str:
        return (
            f"{self.columns} x {self.rows} squares of {self.square * 1000:g} mm, markers of "
            f"{self.marker * 1000:g} mm from {self.dictionary}"
        )

    @property
    def markers(self) -> int:
        """How many markers stand on it."""
        return self.columns * self.rows // 2

    @property
    def corners(self) -> int:
        """How many inner corners it has."""
        return (self.columns - 1) * (self.rows - 1)

    @cached_property
    def points(self) -> Array:
        """All inner corners in the board's frame, corners x 3, by their number."""
        x, y = np.meshgrid(np.arange(1, self.columns), np.arange(1, self.rows))
        points = np.stack([x.ravel(), y.ravel(), np.zeros(self.corners)], axis=1)
        return np.asarray(points * self.square, dtype=np.float64)

    @property
    def middle(self) -> Array:
        """The middle of the board in its own frame."""
        return np.array([self.columns * self.square / 2, self.rows * self.square / 2, 0.0])

    def picture(self, pixels_per_square: int) -> Pixels:
        """Return the board as grey pixels without a margin."""
        size = (self.columns * pixels_per_square, self.rows * pixels_per_square)
        return np.asarray(self.opencv.generateImage(size, marginSize=0), dtype=np.uint8)

    @cached_property
    def opencv(self) -> Any:
        """The board as OpenCV knows it."""
        if not hasattr(getattr(cv2, "aruco", None), "CharucoDetector"):
            raise OpenCvLackError(
                f"OpenCV {cv2.__version__} cannot find ChArUco boards: 4.7 or newer is needed, "
                "with its aruco module (pip install opencv-python-headless)"
            )
        return cv2.aruco.CharucoBoard(
            (self.columns, self.rows), self.square, self.marker, dictionary(self.dictionary)
        )


def dictionary(name: str) -> Any:
    """Return OpenCV's dictionary of a name such as 5X5_100."""
    return cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, f"DICT_{name}"))
