"""What a bag knows about a recorded topic."""

from __future__ import annotations

from dataclasses import dataclass

# What rosbag2 writes for a duration without end, and what its player reads as such.
FOREVER = {"sec": 9223372036, "nsec": 854775807}


@dataclass(frozen=True)
class Qos:
    """The part of an offered quality of service that decides who can subscribe to a replay."""

    reliability: str = "reliable"  # or best_effort
    durability: str = "volatile"  # or transient_local
    depth: int = 10

    def as_rosbag2(self) -> dict[str, object]:
        """Return the profile with the keys of metadata.yaml."""
        return {
            "history": "keep_last",
            "depth": self.depth,
            "reliability": self.reliability,
            "durability": self.durability,
            "deadline": dict(FOREVER),
            "lifespan": dict(FOREVER),
            "liveliness": "automatic",
            "liveliness_lease_duration": dict(FOREVER),
            "avoid_ros_namespace_conventions": False,
        }


@dataclass(frozen=True)
class Connection:
    """A topic of a bag: its name, its type and how it was offered."""

    topic: str
    kind: str  # such as sensor_msgs/msg/Image
    definition: str  # in the format ros2msg
    type_hash: str = ""
    offered: tuple[Qos, ...] = ()
