"""What a look at an episode brings to light."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from labvla_data.dataset.reader import Dataset, Episode


@dataclass(frozen=True)
class ScanSettings:
    """What counts as wrong."""

    stub_packets: int = 3  # a video with so few packets was never really written
    widest_action: int = 32  # the model's own width
    widest_state: int = 32
    rare_share: float = 0.01  # of the videos: another first time stamp is an outlier up to here
    darkest: int = 10  # of 255: a picture with nothing brighter is black
    frozen_time: float = 0.5  # s with the same picture ...
    frozen_motion: float = 0.01  # ... while a joint moved so far (rad)
    frozen_patch: float = 4.0  # levels: no patch of a picture that stands differs by more
    frozen_change: float = 0.05  # levels on average: a frame that differs by less is the one before
    frozen_share: float = 0.5  # of such frames; a camera that is alive has noise in every frame
    frozen_jump: float = 10.0  # levels: a drawn picture is frozen if it stops amid such changes ...
    frozen_resume: float = 60.0  # levels by which it leaps when it goes on
    frozen_step: float = 0.002  # ... while a joint moves so far from one frame to the next (rad)
    blur_share: float = 0.35  # of the camera's usual sharpness
    fastest: float = 6.0  # rad/s; no arm here moves so fast
    farthest: float = 0.7  # rad between an action and the state in which it is given
    idle_motion: float = 0.003  # rad: below it nothing happens
    idle_time: float = 1.0  # s at either end
    stamp_share: float = 0.05  # by which the true frame rate may differ from the stated one
    most_skew: float = 0.05  # s between the samples of one frame


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or looks so."""

    kind: str
    detail: Mapping[str, Any] = field(default_factory=dict)
    warning: bool = False  # worth a look, no ground to leave the episode out

    def as_json(self) -> dict[str, Any]:
        """Return it as it stands in a report."""
        return {**asdict(self), "detail": dict(self.detail)}


@dataclass
class Look:
    """What one detector found in one episode."""

    findings: list[Finding] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)  # for a look at all episodes together

    def find(self, kind: str, *, warning: bool = False, **detail: Any) -> None:
        """Note a finding."""
        self.findings.append(Finding(kind, detail, warning))


@dataclass
class Overview:
    """What one detector found when it looked at all episodes together."""

    episodes: dict[int, list[Finding]] = field(default_factory=dict)
    incompatible: list[str] = field(default_factory=list)  # why nobody should train on it
    extra: dict[str, Any] = field(default_factory=dict)

    def find(self, episode: int, kind: str, *, warning: bool = False, **detail: Any) -> None:
        """Note a finding about an episode."""
        self.episodes.setdefault(episode, []).append(Finding(kind, detail, warning))


class Detector:
    """Looks for one kind of fault: in every episode, then at all of them together."""

    name = ""

    def look(self, episode: Episode, dataset: Dataset, settings: ScanSettings) -> Look:
        """Examine an episode."""
        return Look()

    def overview(
        self, dataset: Dataset, facts: Mapping[int, Mapping[str, Any]], settings: ScanSettings
    ) -> Overview:
        """Compare the episodes, given the facts that `look` has gathered."""
        return Overview()
