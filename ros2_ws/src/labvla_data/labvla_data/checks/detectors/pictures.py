"""Faults that can be seen: frozen, black and blurred pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
from labvla_policy.runtime.types import Array

_THIN = 4  # every n-th pixel tells whether a picture is black or the same
_SHARPNESS_EVERY = 10  # frames
_STEEPEST = 99.5  # per cent
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
                    look, camera, _grey(episode, camera), travelled, dataset, settings
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
        pictures: Iterator[NDArray[np.uint8]],
        travelled: Array | None,
        dataset: Dataset,
        settings: ScanSettings,
    ) -> list[float]:
        sharpness: list[float] = []
        black: list[int] = []
        kept: NDArray[np.int16] | None = None  # the picture that the camera has shown for a while
        since, longest, where = 0, 0, 0
        for frame, grey in enumerate(pictures):
            thin = grey[::_THIN, ::_THIN].astype(np.int16)
            if thin.max() <= settings.darkest:
                black.append(frame)
            if frame % _SHARPNESS_EVERY == 0:
                sharpness.append(_sharpness(grey))
            if kept is None or _differs(thin, kept, settings):
                kept, since = thin, frame
            elif (
                _moved(travelled, since, frame) > settings.frozen_motion and frame - since > longest
            ):
                longest, where = frame - since, since
        if black:
            look.find("black_frames", camera=camera, count=len(black), first=black[0])
        if longest > settings.frozen_time * dataset.fps:
            seconds = round(longest / dataset.fps, 2)
            look.find("frozen_frames", camera=camera, first=where, seconds=seconds)
        return sharpness

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
                        sharpness=round(sharpness, 2),
                        usual=round(usual, 2),
                    )
        return overview


def _differs(one: NDArray[np.int16], other: NDArray[np.int16], settings: ScanSettings) -> bool:
    """Whether two pictures show different moments; a codec changes a little everywhere."""
    change = np.abs(one - other)
    return bool(change.mean() > settings.frozen_change or change.max() > settings.frozen_spot)


def _sharpness(grey: NDArray[np.uint8]) -> float:
    """Return how steep the steepest edges are.

    A lens out of focus flattens them; it leaves the noise of the sensor alone, which measures over
    the whole picture would count.
    """
    across, down = (cv2.Sobel(grey, cv2.CV_32F, dx, 1 - dx) for dx in (1, 0))
    return float(np.percentile(np.hypot(across, down), _STEEPEST))


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
