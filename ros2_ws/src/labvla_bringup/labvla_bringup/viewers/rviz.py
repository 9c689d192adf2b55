"""What rviz shows of a cell: the robot, its frames, the cameras, boxes, plans and status."""

from __future__ import annotations

from typing import Any

import yaml

from labvla_bringup.viewers.topics import MARKERS, ROBOT_DESCRIPTION
from labvla_policy.runtime.cell import Camera, Cell

_PANELS = ("Displays", "Views", "Time")
_TOOLS = ("Interact", "MoveCamera", "Select", "FocusCamera", "Measure")


def rviz_config(cell: Cell) -> str:
    """Return the text of an .rviz file."""
    displays = [
        {"Class": _plugin("Grid"), "Name": "bench", "Cell Size": 0.1, "Enabled": True},
        _display("RobotModel", "robot", ROBOT_DESCRIPTION, "Description Topic", latched=True),
        {"Class": _plugin("TF"), "Name": "frames", "Enabled": False},
        # A namespace is switched on unless somebody switches it off: none has to be listed.
        {**_display("MarkerArray", "plans, boxes, status", MARKERS, "Topic"), "Namespaces": {}},
        *(_picture("Image", camera) for camera in cell.cameras),
        # The markers drawn into the picture: what is out of place there shows.
        *(
            {**_picture("Camera", camera), "Enabled": False}
            for camera in cell.cameras
            if camera.frame_id is not None
        ),
    ]
    views = {
        "Current": {
            "Class": _plugin("Orbit"),
            "Distance": 2.5,
            "Focal Point": {"X": 0.4, "Y": 0, "Z": 0.2},
            "Pitch": 0.5,
            "Yaw": 0.8,
            "Target Frame": cell.frame,
        }
    }
    manager = {
        "Class": "",
        "Displays": displays,
        "Enabled": True,
        "Global Options": {
            "Background Color": "48; 48; 48",
            "Fixed Frame": cell.frame,
            "Frame Rate": 30,
        },
        "Name": "root",
        "Tools": [{"Class": _plugin(tool)} for tool in _TOOLS],
        "Value": True,
        "Views": views,
    }
    document = {
        "Panels": [{"Class": f"rviz_common/{panel}", "Name": panel} for panel in _PANELS],
        "Visualization Manager": manager,
        "Window Geometry": {"Height": 1000, "Width": 1600},
    }
    return yaml.safe_dump(document, sort_keys=False)


def _plugin(name: str) -> str:
    return f"rviz_default_plugins/{name}"


def _display(
    kind: str, name: str, topic: str, key: str, *, latched: bool = False
) -> dict[str, Any]:
    return {
        "Class": _plugin(kind),
        "Name": name,
        "Enabled": True,
        "Value": True,
        key: {
            "Value": topic,
            "Depth": 5,
            "History Policy": "Keep Last",
            "Reliability Policy": "Reliable",
            "Durability Policy": "Transient Local" if latched else "Volatile",
        },
    }


def _picture(kind: str, camera: Camera) -> dict[str, Any]:
    name = f"camera {camera.name}" + (" with markers" if kind == "Camera" else "")
    display = _display(kind, name, camera.topic, "Topic")
    # Camera drivers may send best effort, which a reliable subscriber never hears.
    display["Topic"]["Reliability Policy"] = "Best Effort"
    return display
