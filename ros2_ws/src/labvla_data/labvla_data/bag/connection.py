"""What a writer has to know of a topic."""

from __future__ import annotations

from dataclasses import dataclass

from labvla_data.bag.metadata import Qos


@dataclass(frozen=True)
class Connection:
    """A topic of a bag: its name, its type and how it was offered."""

    topic: str
    kind: str  # such as sensor_msgs/msg/Image
    definition: str  # in the format ros2msg
    type_hash: str = ""
    offered: tuple[Qos, ...] = ()
