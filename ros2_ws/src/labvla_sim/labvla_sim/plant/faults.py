"""Faults at the border between the plant and whatever reads it.

They act on data, so that a bridge can put them between a sensor and its topic, and a test can use
them without any. Forces on the arm are `SimCell.push`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from labvla_policy.runtime.types import Array

Image = NDArray[np.uint8]

CameraFaultKind = Literal[
    "drop", "freeze", "corrupt", "swap", "rewire", "black", "resize", "encode", "cut", "late"
]
JointFaultKind = Literal[
    "stall", "repeat", "nan", "reorder", "missing", "duplicate", "narrow", "late"
]
CAMERA_FAULTS: tuple[CameraFaultKind, ...] = get_args(CameraFaultKind)
JOINT_FAULTS: tuple[JointFaultKind, ...] = get_args(JointFaultKind)

LATE = 400_000_000  # ns by which stamps lag: less than what counts as a clock that was set


@dataclass(frozen=True)
class Frame:
    """A picture as it would be published."""

    stamp: int  # ns
    image: Image
    source: str = ""  # the camera whose header it carries; empty for its own
    encoding: Literal["rgb8", "bgr8"] = "rgb8"
    missing: int = 0  # bytes that are cut off


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
    of noise. swap: the picture of another camera under this one's header, as when a driver opens
    the wrong device. rewire: the other camera's message, header included, as when topics are mixed
    up. black: all zero. resize: a quarter of the pixels. encode: blue first, and it says so. cut:
    half of the bytes. late: stamps that lag by 0.4 s.
    """

    def __init__(self, seed: int = 0) -> None:
        self._random = np.random.default_rng(seed)
        self._active: dict[str, tuple[CameraFaultKind, str]] = {}
        self._last: dict[str, Image] = {}

    def set(self, camera: str, kind: CameraFaultKind, other: str = "") -> None:
        """Begin a fault; `other` names the camera whose picture is shown instead."""
        if kind not in CAMERA_FAULTS:
            raise ValueError(f"expected a camera fault of {CAMERA_FAULTS}, got {kind!r}")
        if kind in ("swap", "rewire") and not other:
            raise ValueError(f"expected the other camera of a {kind}, got none")
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
            elif kind in ("swap", "rewire"):
                source = other if kind == "rewire" else ""
                published[camera] = replace(frames.get(other, frame), source=source)
            elif kind != "drop":
                published[camera] = self._spoil(camera, kind, frame)
        return published

    def _spoil(self, camera: str, kind: CameraFaultKind, frame: Frame) -> Frame:
        image = frame.image
        if kind == "freeze":
            return replace(frame, image=self._last.setdefault(camera, image))
        if kind == "black":
            return replace(frame, image=np.zeros_like(image))
        if kind == "resize":
            return replace(frame, image=np.ascontiguousarray(image[::2, ::2]))
        if kind == "encode":
            blue_first = np.ascontiguousarray(image[..., ::-1])
            return replace(frame, image=blue_first, encoding="bgr8")
        if kind == "cut":
            return replace(frame, missing=image.nbytes // 2)
        if kind == "late":
            return replace(frame, stamp=frame.stamp - LATE)
        spoiled = image.copy()
        rows = self._random.random(len(image)) < 0.5
        spoiled[rows] = self._random.integers(0, 256, spoiled[rows].shape, dtype=np.uint8)
        return replace(frame, image=spoiled)


class JointFaults:
    """Spoils joint states on their way out.

    stall: nothing comes. repeat: the last values before the fault, with new stamps. nan: one joint
    is not a number. reorder: names and values in another order, still consistent. missing: one
    joint is absent. duplicate: one joint appears twice. narrow: a value less than names. late:
    stamps that lag by 0.4 s.
    """

    def __init__(self) -> None:
        self._kind: JointFaultKind | None = None
        self._joint = 0
        self._last: JointReading | None = None

    def set(self, kind: JointFaultKind, joint: int = 0) -> None:
        """Begin a fault; `joint` is the one that is not a number, missing or there twice."""
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
        if self._kind == "duplicate":
            return _take(reading, np.append(np.arange(len(reading.names)), self._joint))
        if self._kind == "narrow":
            return replace(reading, positions=reading.positions[:-1])
        if self._kind == "late":
            return replace(reading, stamp=reading.stamp - LATE)
        return reading


def _take(reading: JointReading, order: NDArray[np.intp]) -> JointReading:
    return JointReading(
        reading.stamp,
        tuple(reading.names[index] for index in order),
        reading.positions[order],
        reading.velocities[order],
        reading.efforts[order],
    )
