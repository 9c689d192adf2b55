"""`metadata.yaml`: what `ros2 bag` reads first."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from mcap.records import Channel

from labvla_data.bag.mcap_summary import Summary
from labvla_data.files import replace_text

FILE = "metadata.yaml"
VERSION = 9  # of rosbag2's format: Jazzy and later

# What rosbag2's own writer tells of a channel, and its player looks for.
PROFILES = "offered_qos_profiles"
TYPE_HASH = "topic_type_hash"

# What rosbag2 writes for a duration without end.
_FOREVER = {"sec": 9223372036, "nsec": 854775807}


@dataclass(frozen=True)
class Qos:
    """The part of an offered quality of service that decides who can subscribe to a replay."""

    reliability: str = "reliable"  # or best_effort
    durability: str = "volatile"  # or transient_local
    depth: int = 10

    def as_rosbag2(self) -> dict[str, object]:
        """Return the profile with rosbag2's keys."""
        return {
            "history": "keep_last",
            "depth": self.depth,
            "reliability": self.reliability,
            "durability": self.durability,
            "deadline": dict(_FOREVER),
            "lifespan": dict(_FOREVER),
            "liveliness": "automatic",
            "liveliness_lease_duration": dict(_FOREVER),
            "avoid_ros_namespace_conventions": False,
        }


@dataclass(frozen=True)
class TopicContent:
    """What a bag tells of a topic without being opened."""

    name: str
    kind: str
    type_hash: str
    offered: Sequence[Mapping[str, object]]
    messages: int


@dataclass(frozen=True)
class Content:
    """What a bag tells of itself without being opened."""

    file: str  # name of the MCAP file
    topics: Sequence[TopicContent]
    begin: int = 0  # ns, log time of the first message
    end: int = 0  # ns, log time of the last one
    custom: Mapping[str, str] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Write metadata.yaml."""
        replace_text(folder / FILE, self.text())

    def text(self) -> str:
        """Return the text of metadata.yaml."""
        total = sum(topic.messages for topic in self.topics)
        begin = {"nanoseconds_since_epoch": self.begin}
        duration = {"nanoseconds": self.end - self.begin}
        file = {
            "path": self.file,
            "starting_time": begin,
            "duration": duration,
            "message_count": total,
        }
        information = {
            "version": VERSION,
            "storage_identifier": "mcap",
            "duration": duration,
            "starting_time": begin,
            "message_count": total,
            "topics_with_message_count": [_topic(topic) for topic in self.topics],
            "compression_format": "",  # chunks are compressed inside the file
            "compression_mode": "",
            "relative_file_paths": [self.file],
            "files": [file],
            "custom_data": dict(self.custom) or None,
            "ros_distro": os.environ.get("ROS_DISTRO", "kilted"),
        }
        return _dump({"rosbag2_bagfile_information": information})


def content_of(file: str, summary: Summary, custom: Mapping[str, str]) -> Content:
    """Return what metadata.yaml says of an MCAP file with a summary."""
    kinds = {schema.id: schema.name for schema in summary.schemas}
    topics = [
        TopicContent(
            channel.topic,
            kinds.get(channel.schema_id, ""),
            channel.metadata.get(TYPE_HASH, ""),
            _profiles(channel),
            summary.counts[channel.id],
        )
        for channel in summary.channels
    ]
    return Content(file, topics, summary.begin, summary.end, custom)


def channel_metadata(type_hash: str, offered: Sequence[Qos]) -> dict[str, str]:
    """Return what a channel says about how its topic was offered."""
    profiles = [qos.as_rosbag2() for qos in offered]
    return {PROFILES: _dump(profiles) if profiles else "", TYPE_HASH: type_hash}


def custom_of(folder: Path) -> dict[str, str]:
    """Return what somebody has put into the custom part; nothing where it cannot be read."""
    try:
        information = yaml.safe_load((folder / FILE).read_text())["rosbag2_bagfile_information"]
        return {str(name): str(value) for name, value in information["custom_data"].items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, yaml.YAMLError):
        return {}


def _profiles(channel: Channel) -> list[Mapping[str, object]]:
    try:
        found = yaml.safe_load(channel.metadata.get(PROFILES, ""))
    except yaml.YAMLError:
        return []
    return found if isinstance(found, list) else []


def _topic(topic: TopicContent) -> dict[str, object]:
    return {
        "topic_metadata": {
            "name": topic.name,
            "type": topic.kind,
            "serialization_format": "cdr",
            "offered_qos_profiles": [dict(profile) for profile in topic.offered],
            "type_description_hash": topic.type_hash,
        },
        "message_count": topic.messages,
    }


class _WithoutAliases(yaml.SafeDumper):
    """rosbag2 reads no references inside YAML."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


def _dump(value: object) -> str:
    return str(yaml.dump(value, Dumper=_WithoutAliases, sort_keys=False))
