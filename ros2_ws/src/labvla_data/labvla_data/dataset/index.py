"""Where the episodes of a dataset stand, whatever its version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from labvla_data.dataset.episode_stats import Stats


@dataclass(frozen=True)
class EpisodeEntry:
    """One episode in the index."""

    index: int
    length: int
    tasks: tuple[str, ...]
    table: Path
    # Of other episodes in the same table, as far as the index knows; None: alone in its table.
    rows_before: int | None
    videos: Mapping[str, tuple[Path, int]]  # by feature: file, and the frame where it begins


class Index(Protocol):
    """All episodes, and the texts that they refer to."""

    @property
    def entries(self) -> tuple[EpisodeEntry, ...]:
        """The episodes in order."""

    @property
    def tasks(self) -> Mapping[int, str]:
        """Instructions by number."""

    @property
    def subtasks(self) -> Mapping[int, str]:
        """Steps by number."""

    @property
    def stats_episodes(self) -> frozenset[int]:
        """The numbers for which there are statistics."""

    def stats(self, number: int) -> dict[str, Stats]:
        """Return an episode's statistics."""
