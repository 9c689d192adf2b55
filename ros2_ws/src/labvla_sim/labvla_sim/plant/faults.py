"""Faults at the border between the plant and whatever reads it.

They act on data, so that a bridge can put them between a sensor and its topic, and a test can use
them without any. Forces on the arm are `SimCell.push`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from labvla_policy.runtime.types import Array

Image = NDArray[np.uint8]

CameraFaultKind = Literal["drop", "freeze", "corrupt", "swap", "black", "resize"]
JointFaultKind = Literal["stall", "repeat", "nan", "reorder", "missing"]
CAMERA_FAULTS: tuple[CameraFaultKind, ...] = (
    "drop", "freeze", "corrupt", "swap", "black", "resize",
)  # fmt: skip
JOINT_FAULTS: tuple[JointFaultKind, ...] = ("stall", "repeat", "nan", "reorder", "missing")


@dataclass(frozen=True)
class Frame:
    """A picture as it would be published."""

    stamp: int  # ns
    image: Image


@dataclass(frozen=True)
class JointReading:
    """Joint states as they would be published."""

    stamp: int  # ns
    names: tuple[str, ...]
    positions: Array
    velocities: Array
    efforts: Array


class CameraFaults:
    """Spoils pictures on their way out.

    drop: nothing comes. freeze: the last picture before the fault, with new stamps. corrupt: rows
    of noise. swap: the picture of another camera. black: all zero. resize: a quarter of the pixels.
    """

    def __init__(self, seed: int = 0) -> None:
        self._random = np.random.default_rng(seed)
        self._active: dict[str, tuple[CameraFaultKind, str]] = {}
        self._last: dict[str, Image] = {}

    def set(self, camera: str, kind: CameraFaultKind, other: str = "") -> None:
        """Begin a fault; `other` names the camera whose picture a swap shows."""
        if kind not in CAMERA_FAULTS:
            raise ValueError(f"expected a camera fault of {CAMERA_FAULTS}, got {kind!r}")
        if kind == "swap" and not other:
            raise ValueError("expected the other camera of a swap, got none")
        self._active[camera] = (kind, other)

    def clear(self, camera: str | None = None) -> None:
        """End the fault of one camera, or of all."""
        if camera is None:
            self._active.clear()
        else:
            self._active.pop(camera, None)

    def apply(self, frames: Mapping[str, Frame]) -> dict[str, Frame]:
        """Return what is published of the frames that the cameras took; dropped ones are absent."""
        published = {}
        for camera, frame in frames.items():
            kind, other = self._active.get(camera, (None, ""))
            if kind is None:
                self._last[camera] = frame.image
                published[camera] = frame
            elif kind != "drop":
                source = frames.get(other, frame).image if kind == "swap" else frame.image
                published[camera] = replace(frame, image=self._spoil(camera, kind, source))
        return published

    def _spoil(self, camera: str, kind: CameraFaultKind, image: Image) -> Image:
        if kind == "freeze":
            return self._last.setdefault(camera, image)
        if kind == "black":
            return np.zeros_like(image)
        if kind == "resize":
            return np.ascontiguousarray(image[::2, ::2])
        if kind == "corrupt":
            spoiled = image.copy()
            rows = self._random.random(len(image)) < 0.5
            spoiled[rows] = self._random.integers(0, 256, spoiled[rows].shape, dtype=np.uint8)
            return spoiled
        return image


class JointFaults:
    """Spoils joint states on their way out.

    stall: nothing comes. repeat: the last values before the fault, with new stamps. nan: one joint
    is not a number. reorder: names and values in another order, still consistent. missing: one
    joint is absent.
    """

    def __init__(self) -> None:
        self._kind: JointFaultKind | None = None
        self._joint = 0
        self._last: JointReading | None = None

    def set(self, kind: JointFaultKind, joint: int = 0) -> None:
        """Begin a fault; `joint` is the one that is not a number or missing."""
        if kind not in JOINT_FAULTS:
            raise ValueError(f"expected a joint fault of {JOINT_FAULTS}, got {kind!r}")
        self._kind, self._joint = kind, joint

    def clear(self) -> None:
        """End the fault."""
        self._kind = None

    def apply(self, reading: JointReading) -> JointReading | None:
        """Return what is published of a reading; None for nothing."""
        if self._kind is None or self._last is None:
            self._last = reading
        if self._kind == "stall":
            return None
        if self._kind == "repeat":
            return replace(self._last, stamp=reading.stamp)
        if self._kind == "nan":
            positions = reading.positions.copy()
            positions[self._joint] = np.nan
            return replace(reading, positions=positions)
        if self._kind == "reorder":
            return _take(reading, np.roll(np.arange(len(reading.names)), 1))
        if self._kind == "missing":
            return _take(reading, np.delete(np.arange(len(reading.names)), self._joint))
        return reading


def _take(reading: JointReading, order: NDArray[np.intp]) -> JointReading:
    return JointReading(
        reading.stamp,
        tuple(reading.names[index] for index in order),
        reading.positions[order],
        reading.velocities[order],
        reading.efforts[order],
    )
