"""All detectors by name."""

from __future__ import annotations

from labvla_data.checks.detectors.clocks import ClockFaults
from labvla_data.checks.detectors.grippers import GripperPolarity
from labvla_data.checks.detectors.motion import ActionJumps, IdleEnds
from labvla_data.checks.detectors.numbers import ActionDimCap, Lengths, NotFinite, StatsOrphans
from labvla_data.checks.detectors.pictures import BadPictures
from labvla_data.checks.detectors.videos import (
    MissingVideos,
    VideoConcatHazards,
    VideoDecode,
    VideoStubs,
)
from labvla_data.checks.findings import Detector

DETECTORS: dict[str, Detector] = {
    detector.name: detector
    for detector in (
        VideoStubs(),
        VideoConcatHazards(),
        VideoDecode(),
        MissingVideos(),
        StatsOrphans(),
        ActionDimCap(),
        Lengths(),
        NotFinite(),
        BadPictures(),
        ActionJumps(),
        IdleEnds(),
        ClockFaults(),
        GripperPolarity(),
    )
}
