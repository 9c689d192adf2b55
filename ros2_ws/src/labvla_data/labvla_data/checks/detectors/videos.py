"""Faults of video files: missing, empty, not decodable, dangerous to join."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import av.error

from labvla_data.checks.findings import Detector, Look, Overview, ScanSettings
from labvla_data.dataset.errors import DatasetError
from labvla_data.dataset.reader import Dataset, Episode
from labvla_data.dataset.video import opened


@dataclass(frozen=True)
class VideoFacts:
    """What a file holds."""

    packets: int = 0
    first_dts: int | None = None
    error: str = ""  # why it cannot be opened, or its first frame not be decoded


@lru_cache(maxsize=256)
def facts_of(path: Path) -> VideoFacts:
    """Read a video's packets and decode its first frame."""
    try:
        with opened(path) as file:
            stream = file.streams.video[0]
            times = [packet.dts for packet in file.demux(stream) if packet.dts is not None]
        with opened(path) as file:
            frame = next(file.decode(file.streams.video[0]), None)
    except (DatasetError, OSError, av.error.FFmpegError) as error:
        return VideoFacts(error=str(error))
    problem = "" if frame is not None else "no frame can be decoded"
    return VideoFacts(len(times), times[0] if times else None, problem)


def _present(episode: Episode) -> dict[str, Path]:
    return {name: path for name, (path, _) in episode.entry.videos.items() if path.is_file()}


class VideoStubs(Detector):
    """Videos that were begun and never written."""

    name = "video_stubs"

    def look(self, episode: Episode, dataset: Dataset, settings: ScanSettings) -> Look:
        """Count packets."""
        look = Look()
        for camera, path in _present(episode).items():
            packets = facts_of(path).packets
            if not facts_of(path).error and packets <= settings.stub_packets:
                look.find("too_few_packets", camera=camera, packets=packets, path=str(path))
        return look


class VideoConcatHazards(Detector):
    """Videos whose first packet has another time than the others': joined, they shift."""

    name = "video_concat_hazards"

    def look(self, episode: Episode, dataset: Dataset, settings: ScanSettings) -> Look:
        """Note each camera's first time stamp."""
        look = Look()
        look.facts = {
            camera: facts_of(path).first_dts for camera, path in _present(episode).items()
        }
        return look

    def overview(
        self, dataset: Dataset, facts: Mapping[int, Mapping[str, Any]], settings: ScanSettings
    ) -> Overview:
        """Find the rare ones."""
        overview = Overview()
        known = {
            (episode, camera): dts
            for episode, cameras in facts.items()
            for camera, dts in cameras.items()
            if dts is not None
        }
        counts = Counter(known.values())
        if len(counts) < 2:
            return overview
        usual = counts.most_common(1)[0][0]
        # Of fewer than a hundred videos a single one is more than the share, and rare all the same.
        rare = max(1, int(settings.rare_share * len(known)))
        for (episode, camera), dts in known.items():
            if dts != usual and counts[dts] <= rare:
                overview.find(episode, "outlier_first_dts", camera=camera, dts=dts, usual=usual)
        return overview


class VideoDecode(Detector):
    """Videos that cannot be opened or decoded."""

    name = "video_decode"

    def look(self, episode: Episode, dataset: Dataset, settings: ScanSettings) -> Look:
        """Decode the first frame."""
        look = Look()
        for camera, path in _present(episode).items():
            if error := facts_of(path).error:
                look.find("decode_error", camera=camera, error=error, path=str(path))
        return look

    def overview(
        self, dataset: Dataset, facts: Mapping[int, Mapping[str, Any]], settings: ScanSettings
    ) -> Overview:
        """Look at videos that belong to no episode."""
        known = {path for entry in dataset.entries for path, _ in entry.videos.values()}
        strangers = sorted(set((dataset.folder / "videos").rglob("*.mp4")) - known)
        bad = [str(path) for path in strangers if facts_of(path).error]
        return Overview(extra={"unattributed_bad_videos": bad} if bad else {})


class MissingVideos(Detector):
    """Cameras that are declared as videos, and have none."""

    name = "missing_videos"

    def look(self, episode: Episode, dataset: Dataset, settings: ScanSettings) -> Look:
        """Look for the files."""
        look = Look()
        for camera, (path, _) in episode.entry.videos.items():
            if not path.is_file():
                look.find("missing_mp4", camera=camera, path=str(path))
        return look
