"""`metadata.yaml`: what `ros2 bag` reads first."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from labvla_data.bag.connection import Connection

FILE = "metadata.yaml"
VERSION = 9  # of rosbag2's format: Jazzy and later


@dataclass(frozen=True)
class Content:
    """What a bag holds."""

    file: str  # name of the MCAP file
    connections: Sequence[Connection]
    counts: Sequence[int]  # messages, by connection
    begin: int = 0  # ns, log time of the first message
    end: int = 0  # ns, log time of the last one
    custom: Mapping[str, str] | None = None


def text_of(content: Content) -> str:
    """Return the text of metadata.yaml."""
    total = sum(content.counts)
    begin = {"nanoseconds_since_epoch": content.begin}
    duration = {"nanoseconds": content.end - content.begin}
    topics = [
        {
            "topic_metadata": {
                "name": connection.topic,
                "type": connection.kind,
                "serialization_format": "cdr",
                "offered_qos_profiles": profiles(connection),
                "type_description_hash": connection.type_hash,
            },
            "message_count": count,
        }
        for connection, count in zip(content.connections, content.counts, strict=True)
    ]
    file = {
        "path": content.file,
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
        "topics_with_message_count": topics,
        "compression_format": "",  # chunks are compressed inside the file
        "compression_mode": "",
        "relative_file_paths": [content.file],
        "files": [file],
        "custom_data": dict(content.custom) if content.custom else None,
        "ros_distro": os.environ.get("ROS_DISTRO", "kilted"),
    }
    return yaml.dump(
        {"rosbag2_bagfile_information": information}, Dumper=_WithoutAliases, sort_keys=False
    )


def profiles(connection: Connection) -> list[dict[str, object]]:
    """Return how a topic was offered, with rosbag2's keys."""
    return [qos.as_rosbag2() for qos in connection.offered]


def profiles_text(connection: Connection) -> str:
    """Return how a topic was offered, as a channel of the MCAP file says it."""
    offered = profiles(connection)
    return yaml.dump(offered, Dumper=_WithoutAliases, sort_keys=False) if offered else ""


def read(folder: Path) -> dict[str, Any]:
    """Return the information in a bag's metadata.yaml."""
    information = yaml.safe_load((folder / FILE).read_text())["rosbag2_bagfile_information"]
    return dict(information)


class _WithoutAliases(yaml.SafeDumper):
    """rosbag2 reads no references inside YAML."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True
