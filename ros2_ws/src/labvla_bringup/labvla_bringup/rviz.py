"""What rviz shows of a cell: the robot, its frames, the cameras, boxes and paths."""

from __future__ import annotations

from typing import Any

import yaml

from labvla_policy.runtime.cell import Camera, Cell

MARKERS = "labvla/markers"


def rviz_config(cell: Cell) -> str:
    """Return the text of an .rviz file."""
    displays = [
        {"Class": "rviz_default_plugins/Grid", "Name": "bench", "Cell Size": 0.1, "Enabled": True},
        _display("RobotModel", "robot", "robot_description", "Description Topic", latched=True),
        {"Class": "rviz_default_plugins/TF", "Name": "frames", "Enabled": False},
        _display("MarkerArray", "paths and boxes", MARKERS, "Topic"),
        *(_image(camera) for camera in cell.cameras),
    ]
    views = {
        "Current": {
            "Class": "rviz_default_plugins/Orbit",
            "Distance": 2.5,
            "Focal Point": {"X": 0.4, "Y": 0, "Z": 0.2},
            "Pitch": 0.5,
            "Yaw": 0.8,
            "Target Frame": cell.frame,
        }
    }
    manager = {
        "Displays": displays,
        "Global Options": {"Fixed Frame": cell.frame, "Frame Rate": 30},
        "Views": views,
    }
    return yaml.safe_dump({"Visualization Manager": manager}, sort_keys=False)


def _display(
    kind: str, name: str, topic: str, key: str, *, latched: bool = False
) -> dict[str, Any]:
    return {
        "Class": f"rviz_default_plugins/{kind}",
        "Name": name,
        "Enabled": True,
        key: {
            "Value": topic,
            "Depth": 5,
            "Reliability Policy": "Reliable",
            "Durability Policy": "Transient Local" if latched else "Volatile",
        },
    }


def _image(camera: Camera) -> dict[str, Any]:
    display = _display("Image", f"camera {camera.name}", camera.topic, "Topic")
    # Camera drivers may send best effort, which a reliable subscriber never hears.
    display["Topic"]["Reliability Policy"] = "Best Effort"
    return display
