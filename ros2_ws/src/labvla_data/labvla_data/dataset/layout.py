"""Names of files and of their contents that both versions share, or that tell them apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from labvla_data.dataset.features import COUNTERS, Column, Feature, Features, Picture, PictureFormat

Version = Literal["v2.1", "v3.0"]
VERSIONS: tuple[Version, ...] = ("v2.1", "v3.0")

INFO = "meta/info.json"
STATS = "meta/stats.json"
NORM_STATS = "meta/norm_stats.json"
SIDECAR = "meta/labvla_episodes.jsonl"  # what is known about each episode besides its frames
INVALIDATED = "meta/stats.invalidated.json"
INVALIDATED_FLAG = "stats_invalidated"
CHUNK_SIZE = 1000  # files of version 3.0, episodes of version 2.1 in one folder


class V21:
    """Files of version 2.1: one of each kind for every episode."""

    DATA = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
    VIDEO = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"
    EPISODES = "meta/episodes.jsonl"
    EPISODES_STATS = "meta/episodes_stats.jsonl"
    TASKS = "meta/tasks.jsonl"
    SUBTASKS = "meta/subtasks.jsonl"


class V30:
    """Files of version 3.0: episodes behind one another in files of a convenient size."""

    DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
    VIDEO = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
    EPISODES = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
    TASKS = "meta/tasks.parquet"
    SUBTASKS = "meta/subtasks.parquet"
    DATA_MB, VIDEO_MB = 100, 200


def info_features(
    features: Features, images: PictureFormat, videos: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the features as `info.json` has them."""
    described = {**features, **COUNTERS}
    return {name: _described(f, images, videos.get(name)) for name, f in described.items()}


def _described(
    feature: Feature, images: PictureFormat, video: Mapping[str, Any] | None
) -> dict[str, Any]:
    if isinstance(feature, Column):
        names = None if feature.width == 1 else list(feature.names)
        return {"dtype": feature.dtype, "shape": [feature.width], "names": names}
    entry: dict[str, Any] = {
        "dtype": "video" if images == "video" else "image",
        "shape": [feature.height, feature.width, 3],
        "names": ["height", "width", "channels"],
    }
    return {**entry, "info": dict(video)} if video else entry


def features_of_info(described: Mapping[str, Mapping[str, Any]]) -> dict[str, Feature]:
    """Return the features that `info.json` describes, the counters among them."""
    return {name: _feature(name, entry) for name, entry in described.items()}


def _feature(name: str, entry: Mapping[str, Any]) -> Feature:
    shape = tuple(entry["shape"])
    if entry["dtype"] in ("video", "image"):
        height, width = _picture_size(shape, entry.get("names"))
        return Picture(height, width)
    width = shape[0] if shape else 1
    names = _component_names(entry.get("names"))
    if len(names) != width:
        names = (name,) if width == 1 else tuple(f"{name}_{i}" for i in range(width))
    return Column(entry["dtype"], names)


def _picture_size(shape: tuple[int, ...], names: Any) -> tuple[int, int]:
    """Return height and width; some converters store channels first."""
    if shape and shape[0] in (1, 3) and not (isinstance(names, list) and names[0] == "height"):
        return shape[1], shape[2]
    return shape[0], shape[1]


def _component_names(names: Any) -> tuple[str, ...]:
    """Return names as a flat sequence: converters nest them under `motors` or `axes`."""
    if isinstance(names, Mapping):
        return tuple(part for value in names.values() for part in _component_names(value))
    if isinstance(names, list):
        return tuple(part for value in names for part in _component_names(value))
    return () if names is None else (str(names),)
