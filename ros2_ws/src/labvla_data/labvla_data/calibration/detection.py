"""Finds the board in a picture, or says what is wrong with the picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from labvla_data.calibration.board import DICTIONARIES, Board, dictionary
from labvla_policy.runtime.types import Array, Pixels

LEAST_CORNERS = 8
# Grey levels between the board's black and white. Below it, noise moves the corners.
LEAST_CONTRAST = 30.0
# Pixels over which black becomes white: 1 to 2 in a sharp picture, 2.5 per pixel of blur's sigma.
WIDEST_EDGE = 5.0


@dataclass(frozen=True, eq=False)
class Detection:
    """The inner corners that were found."""

    ids: NDArray[np.int64]
    corners: Array  # n x 2, pixels
    edge: float  # pixels over which black becomes white


class UnusableError(Exception):
    """A picture that the board's corners cannot be taken from; the text says why."""


def detect(board: Board, pixels: Pixels) -> Detection:
    """Find the board in a picture of colours or greys."""
    grey = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    detector = cv2.aruco.CharucoDetector(board.opencv)
    corners, ids, _, marker_ids = detector.detectBoard(grey)
    found = 0 if ids is None else len(ids)
    if found < LEAST_CORNERS:
        seen = () if marker_ids is None else tuple(int(i) for i in np.ravel(marker_ids))
        raise UnusableError(_why_not_found(board, grey, seen, found))
    points = np.asarray(corners, dtype=np.float64).reshape(-1, 2)
    numbers = np.asarray(ids, dtype=np.int64).ravel()
    if _on_one_line(board.points[numbers]):
        raise UnusableError(f"only {found} corners on one line are seen: show more of the board")
    contrast, edge = _sharpness(grey, points)
    if contrast < LEAST_CONTRAST:
        raise UnusableError(
            f"the board has {contrast:.0f} grey levels of contrast, at least {LEAST_CONTRAST:.0f} "
            "are needed: more light, or a longer exposure"
        )
    if edge > WIDEST_EDGE:
        raise UnusableError(
            f"the picture is blurred: edges are {edge:.1f} pixels wide, at most {WIDEST_EDGE:g} "
            "are good: let the arm stand still, look at focus and exposure time"
        )
    return Detection(numbers, points, edge)


def _on_one_line(points: Array) -> bool:
    spread = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    return bool(spread[1] < 1e-6)


def _why_not_found(board: Board, grey: Pixels, seen: tuple[int, ...], corners: int) -> str:
    strange = sorted({number for number in seen if number >= board.markers})
    if strange:
        return (
            f"another board: the marker {strange[0]} is seen, and a board of {board} has "
            f"0 to {board.markers - 1}"
        )
    if corners or len(seen) > 1:
        return (
            f"only {corners} corners are seen ({len(seen)} markers), at least {LEAST_CORNERS} are "
            "needed: nearer, sharper, more light, less glare, nothing in front; or it is another "
            f"board than {board}"
        )
    other = _dictionary_that_fits(board, grey)
    if other is not None:
        return f"another board: its markers are from {other}, expected {board.dictionary}"
    return "the board is not seen: out of the picture, too far, too dark, blurred or with glare"


def _dictionary_that_fits(board: Board, grey: Pixels) -> str | None:
    """Return the dictionary of which most markers are seen; chance finds one or two anywhere."""
    families = [name for name in DICTIONARIES if name.endswith("_250")]
    counts = {}
    for name in families:
        _, ids, _ = cv2.aruco.ArucoDetector(dictionary(name)).detectMarkers(grey)
        counts[name] = 0 if ids is None else len(ids)
    best = max(families, key=lambda name: counts[name])
    same_family = best.partition("_")[0] == board.dictionary.partition("_")[0]
    return best if counts[best] >= 4 and not same_family else None


def _sharpness(grey: Pixels, corners: Array) -> tuple[float, float]:
    """Return contrast (grey levels) and width of the edges (pixels) where the board is."""
    low = np.maximum(np.floor(corners.min(axis=0)).astype(int), 0)
    high = np.ceil(corners.max(axis=0)).astype(int) + 1
    patch = cv2.GaussianBlur(grey[low[1] : high[1], low[0] : high[0]], (3, 3), 0.5)
    dark, bright = np.percentile(patch, (5, 95))
    contrast = float(bright - dark)
    x = cv2.Sobel(patch, cv2.CV_64F, 1, 0, ksize=3) / 8
    y = cv2.Sobel(patch, cv2.CV_64F, 0, 1, ksize=3) / 8
    # A board has edges in two directions: motion along one of them blurs only the other's.
    steepest = min(float(np.percentile(np.abs(slope), 99)) for slope in (x, y))
    return contrast, contrast / max(steepest, 1e-9)
