"""The index of version 2.0 and 2.1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labvla_data.dataset.episode_stats import Stats, from_lists
from labvla_data.dataset.index import EpisodeEntry
from labvla_data.dataset.layout import CHUNK_SIZE, V21
from labvla_data.json_files import read_lines


@dataclass(frozen=True)
class IndexV21:
    """Lines of JSON, one for each episode."""

    entries: tuple[EpisodeEntry, ...]
    tasks: Mapping[int, str]
    subtasks: Mapping[int, str]
    all_stats: Mapping[int, Mapping[str, Any]]

    @property
    def stats_episodes(self) -> frozenset[int]:
        """The numbers for which there are statistics."""
        return frozenset(self.all_stats)

    def stats(self, number: int) -> dict[str, Stats]:
        """Return an episode's statistics."""
        return from_lists(self.all_stats.get(number, {}))


def read(folder: Path, info: Mapping[str, Any]) -> IndexV21:
    """Read the index."""
    videos = [name for name, f in info["features"].items() if f["dtype"] == "video"]
    size = int(info.get("chunks_size") or CHUNK_SIZE)
    entries = []
    for line in read_lines(folder / V21.EPISODES):
        number = int(line["episode_index"])
        names = {"episode_chunk": number // size, "episode_index": number}
        entries.append(
            EpisodeEntry(
                index=number,
                length=int(line["length"]),
                tasks=tuple(line.get("tasks") or ()),
                table=folder / info["data_path"].format(**names),
                rows_before=None,
                videos={
                    feature: (folder / info["video_path"].format(video_key=feature, **names), 0)
                    for feature in videos
                },
            )
        )
    stats = folder / V21.EPISODES_STATS
    return IndexV21(
        tuple(sorted(entries, key=lambda entry: entry.index)),
        _texts(folder / V21.TASKS, "task"),
        _texts(folder / V21.SUBTASKS, "subtask"),
        {
            int(line["episode_index"]): line["stats"]
            for line in (read_lines(stats) if stats.exists() else ())
        },
    )


def _texts(path: Path, name: str) -> dict[int, str]:
    if not path.exists():
        return {}
    return {int(line[f"{name}_index"]): str(line[name]) for line in read_lines(path)}
