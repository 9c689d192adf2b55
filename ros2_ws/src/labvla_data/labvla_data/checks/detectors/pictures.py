"""Faults that can be seen: frozen, black and blurred pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from labvla_data.checks.detectors.motion import joint_columns, motion_of
from labvla_data.checks.detectors.videos import facts_of
from labvla_data.checks.findings import Detector, Look, Overview, ScanSettings
from labvla_data.dataset.errors import DatasetError
from labvla_data.dataset.reader import Dataset, Episode
from labvla_data.dataset.video import VideoFrames
from labvla_data.scene import SIMULATION
from labvla_policy.runtime.types import Array

_THIN = 4  # every n-th pixel tells whether a picture is black
_PATCH = 8  # pixels: over a patch of that side the noise of a codec cancels out
_SHARPNESS_EVERY = 10  # frames
_STEEPEST = 99.5  # per cent
_SMOOTHING = 1.0  # pixels
_AROUND = 15  # pixels: wider than an edge that is out of focus
_FAINT = 15.0  # levels: with less contrast, a codec decides what an edge looks like
_FEWEST_EPISODES = 4  # to know how sharp a camera usually is


class BadPictures(Detector):
    """Looks at every frame of every camera; the slowest detector."""

    name = "bad_pictures"

    def look(self, episode: Episode, dataset: Dataset, settings: ScanSettings) -> Look:
        """Look for black and frozen pictures; measure sharpness."""
        look = Look()
        travelled = _travelled(episode, dataset)
        for camera in dataset.pictures:
            try:
                sharpness = self._look_at_camera(
                    look, camera, episode, travelled, dataset, settings
                )
            except DatasetError as error:
                if camera not in episode.entry.videos or _readable(episode, camera):
                    look.find("picture_error", camera=camera, error=str(error))
                continue
            if sharpness:
                look.facts[camera] = float(np.median(sharpness))
        return look

    def _look_at_camera(
        self,
        look: Look,
        camera: str,
        episode: Episode,
        travelled: Array | None,
        dataset: Dataset,
        settings: ScanSettings,
    ) -> list[float]:
        sharpness: list[float] = []
        black: list[int] = []
        stands = _Standing(settings)
        for frame, grey in enumerate(_grey(episode, camera)):
            if grey[::_THIN, ::_THIN].max() <= settings.darkest:
                black.append(frame)
            if frame % _SHARPNESS_EVERY == 0 and (seen := _sharpness(grey)) is not None:
                sharpness.append(seen)
            stands.see(grey)
        if black:
            look.find("black_frames", camera=camera, count=len(black), first=black[0])
        still = [
            one
            for one in stands.found()
            if one.frames > settings.frozen_time * dataset.fps
            and _moved(travelled, one.first, one.last) > settings.frozen_motion
        ]
        self._judge_still(look, camera, still, episode, travelled, dataset, settings)
        return sharpness

    def _judge_still(
        self,
        look: Look,
        camera: str,
        still: list[_Still],
        episode: Episode,
        travelled: Array | None,
        dataset: Dataset,
        settings: ScanSettings,
    ) -> None:
        """Tell a camera that stopped from a drawn one that has nothing but a plain surface in view.

        Drawn pictures have neither noise nor texture. What was seen in them to stop in the midst
        of a motion, or to go on with a leap, is frozen all the same.
        """
        drawn = dataset.sidecar.get(episode.index, {}).get("source") == SIMULATION
        frozen = [
            one
            for one in still
            if not drawn
            or one.resume > settings.frozen_resume
            or (
                one.jump > settings.frozen_jump
                and _moved(travelled, one.first - 1, one.first) > settings.frozen_step
            )
        ]
        for kind, found in (("frozen_frames", frozen), ("still_frames", still)):
            if found:
                longest = max(found, key=lambda one: one.frames)
                seconds = round(longest.frames / dataset.fps, 2)
                look.find(
                    kind,
                    warning=kind == "still_frames",
                    camera=camera,
                    first=longest.first,
                    seconds=seconds,
                )
                return

    def overview(
        self, dataset: Dataset, facts: Mapping[int, Mapping[str, Any]], settings: ScanSettings
    ) -> Overview:
        """Find episodes in which a camera is much less sharp than it usually is."""
        overview = Overview()
        for camera in dataset.pictures:
            known = {number: seen[camera] for number, seen in facts.items() if camera in seen}
            if len(known) < _FEWEST_EPISODES:
                continue
            usual = float(np.median(list(known.values())))
            for number, sharpness in known.items():
                if sharpness < settings.blur_share * usual:
                    overview.find(
                        number,
                        "blurred",
                        camera=camera,
                        sharpness=round(sharpness, 3),
                        usual=round(usual, 3),
                    )
        return overview


@dataclass(frozen=True)
class _Still:
    """Frames that all show the same."""

    first: int
    last: int
    jump: float  # levels by which a patch changed from the frame before to the first one
    resume: float  # the same from the last one to the frame after

    @property
    def frames(self) -> int:
        """How often the first one was shown again."""
        return self.last - self.first


class _Standing:
    """Finds where a camera shows the same for a while.

    A codec draws the same thing a little differently every now and then, and not at all
    differently in between; the noise of a camera that is alive differs in every frame.
    """

    def __init__(self, settings: ScanSettings) -> None:
        self._settings = settings
        self._kept: NDArray[np.float32] | None = None  # what it has shown for a while
        self._before: NDArray[np.uint8] | None = None
        self._patches_before: NDArray[np.float32] | None = None
        self._since, self._frame, self._same = 0, -1, 0
        self._jump = 0.0
        self._found: list[_Still] = []

    def see(self, grey: NDArray[np.uint8]) -> None:
        """Take the next frame."""
        patches = _patches(grey)
        self._frame += 1
        before, self._before = self._before, grey
        step, self._patches_before = _difference(patches, self._patches_before), patches
        if self._kept is None or _difference(patches, self._kept) > self._settings.frozen_patch:
            self._note(self._frame - 1, step)
            self._kept, self._since, self._jump, self._same = patches, self._frame, step, 0
        elif before is not None:
            self._same += float(cv2.absdiff(grey, before).mean()) < self._settings.frozen_change

    def found(self) -> list[_Still]:
        """Return all stretches, the one until the last frame included."""
        self._note(self._frame, 0.0)
        return self._found

    def _note(self, last: int, resume: float) -> None:
        still = _Still(self._since, last, self._jump, resume)
        if self._same > self._settings.frozen_share * still.frames > 0:
            self._found.append(still)


def _patches(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the mean of every patch of a picture."""
    height, width = grey.shape
    size = max(width // _PATCH, 1), max(height // _PATCH, 1)
    return np.asarray(cv2.resize(grey.astype(np.float32), size, interpolation=cv2.INTER_AREA))


def _difference(one: NDArray[np.float32], other: NDArray[np.float32] | None) -> float:
    return 0.0 if other is None else float(np.abs(one - other).max())


def _sharpness(grey: NDArray[np.uint8]) -> float | None:
    """Return how steep the steepest edges are, as a share of the contrast around them.

    A lens out of focus makes edges wide; something plain has faint edges, and they are narrow.
    None if there is no edge to be seen. The noise of a sensor, which no lens takes away, is
    smoothed out first.
    """
    smooth = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), _SMOOTHING)
    across, down = (cv2.Sobel(smooth, cv2.CV_32F, dx, 1 - dx) for dx in (1, 0))
    slope = np.hypot(across, down)
    around = np.ones((_AROUND, _AROUND), np.uint8)
    contrast = cv2.dilate(smooth, around) - cv2.erode(smooth, around)
    edges = (slope >= np.percentile(slope, _STEEPEST)) & (contrast > _FAINT)
    if not edges.any():
        return None
    return float(np.median(slope[edges] / contrast[edges]))


def _readable(episode: Episode, camera: str) -> bool:
    """Whether a video can be opened at all; that it cannot is another detector's finding."""
    path = episode.entry.videos[camera][0]
    return path.is_file() and not facts_of(path).error


def _grey(episode: Episode, camera: str) -> Iterator[NDArray[np.uint8]]:
    """Yield an episode's pictures in shades of grey, 0 to 255."""
    pictures = episode.pictures(camera)
    if isinstance(pictures, VideoFrames):
        yield from pictures.grey()
        return
    for pixels in pictures:
        yield np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def _travelled(episode: Episode, dataset: Dataset) -> Array | None:
    """Return the joints of every frame, frames x joints."""
    motion = motion_of(episode, dataset)
    if motion is None:
        return None
    return motion[0][:, joint_columns(dataset, motion[0].shape[1])]


def _moved(joints: Array | None, begin: int, end: int) -> float:
    if joints is None or end >= len(joints) or not joints.shape[1]:
        return 0.0
    return float(np.ptp(joints[begin : end + 1], axis=0).max())
