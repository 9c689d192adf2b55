"""What Foxglove shows of a cell: the scene, the cameras, joints over time, events and status."""

from __future__ import annotations

import json
from typing import Any

from labvla_bringup.viewers.topics import (
    DIAGNOSTICS,
    EVENTS,
    MARKERS,
    ROBOT,
    ROBOT_DESCRIPTION,
    STATUS,
)
from labvla_policy.runtime.cell import Camera, Cell

_WARNINGS = 3  # Foxglove's number for them; less is not worth a line
_COLOURS = ("#4e98e2", "#f5774d", "#f7df71", "#5cd6a9", "#61cbff", "#a395e2", "#e76f9b")

Panels = dict[str, dict[str, Any]]


def foxglove_layout(cell: Cell, namespace: str = "") -> str:
    """Return the text of a layout file, for a stack in a namespace (with its slash in front)."""
    panels: Panels = {}
    scene = _scene(panels, cell, namespace)
    pictures = [_picture(panels, camera, namespace) for camera in cell.cameras]
    plots = [_plot(panels, cell, number, namespace) for number in range(len(cell.arms))]
    words = [_message(panels, topic, namespace) for topic in (STATUS, ROBOT, EVENTS)]
    layout = _row(
        _column(scene, _row(*plots), share=62),
        _column(
            _column(*pictures),
            _column(_row(*words), _row(_diagnostics(panels), _log(panels))),
        ),
        share=58,
    )
    document = {
        "configById": panels,
        "globalVariables": {},
        "userNodes": {},
        "playbackConfig": {"speed": 1},
        "layout": layout,
    }
    return json.dumps(document, indent=2) + "\n"


def _scene(panels: Panels, cell: Cell, namespace: str) -> str:
    panels["3D!scene"] = {
        "foxglovePanelTitle": cell.name,
        "followTf": cell.frame,
        "followMode": "follow-pose",
        "cameraState": {
            "perspective": True,
            "distance": 2.5,
            "phi": 60,
            "thetaOffset": 130,
            "targetOffset": [0.4, 0, 0],
            "target": [0, 0, 0],
            "targetOrientation": [0, 0, 0, 1],
            "fovy": 45,
            "near": 0.01,
            "far": 100,
        },
        "scene": {"transforms": {"enablePreloading": False}},
        "topics": {
            _name(MARKERS, namespace): {"visible": True},
            _name(ROBOT_DESCRIPTION, namespace): {"visible": True},
        },
        "layers": {
            "grid": {
                "layerId": "foxglove.Grid",
                "instanceId": "grid",
                "label": "bench",
                "frameId": cell.frame,
                "size": 2,
                "divisions": 20,
                "visible": True,
            }
        },
        "transforms": {},
        "publish": {},
        "imageMode": {},
    }
    return "3D!scene"


def _picture(panels: Panels, camera: Camera, namespace: str) -> str:
    panel = f"Image!{camera.name}"
    panels[panel] = {
        "foxglovePanelTitle": camera.name,
        "imageMode": {"imageTopic": _name(camera.topic, namespace)},
    }
    return panel


def _plot(panels: Panels, cell: Cell, number: int, namespace: str) -> str:
    """Plot where an arm is commanded to be, and where it is."""
    arm = cell.arms[number]
    first = sum(len(before.joints) for before in cell.arms[:number])
    state = _name(f"{cell.controller.name}/state", namespace)
    paths = [
        {
            "value": f"{state}.{field}[{first + i}]",
            "label": f"{joint} {words}",
            "enabled": True,
            "timestampMethod": "headerStamp",
            "color": colour,
            "lineSize": width,
        }
        for i, (joint, colour) in enumerate(zip(arm.joints, _COLOURS, strict=False))
        for field, words, width in (
            ("reference_positions", "commanded", 1),
            ("measured_positions", "measured", 2),
        )
    ]
    panel = f"Plot!{arm.name}"
    panels[panel] = {
        "foxglovePanelTitle": f"joints of {arm.name} [rad]",
        "paths": paths,
        "showXAxisLabels": True,
        "showYAxisLabels": True,
        "showLegend": False,
        "legendDisplay": "none",
        "isSynced": True,
        "xAxisVal": "timestamp",
        "followingViewWidth": 20,
        "sidebarDimension": 240,
    }
    return panel


def _message(panels: Panels, topic: str, namespace: str) -> str:
    title = topic.rpartition("/")[2]
    panel = f"RawMessages!{title}"
    panels[panel] = {
        "foxglovePanelTitle": title,
        "topicPath": _name(topic, namespace),
        "diffEnabled": False,
        "diffMethod": "custom",
        "diffTopicPath": "",
        "showFullMessageForDiff": False,
    }
    return panel


def _diagnostics(panels: Panels) -> str:
    panels["DiagnosticSummary!all"] = {"topicToRender": DIAGNOSTICS, "sortByLevel": True}
    return "DiagnosticSummary!all"


def _log(panels: Panels) -> str:
    panels["RosOut!log"] = {"searchTerms": [], "minLogLevel": _WARNINGS}
    return "RosOut!log"


def _name(topic: str, namespace: str) -> str:
    return topic if topic.startswith("/") else f"{namespace}/{topic}"


def _row(*parts: Any, share: int | None = None) -> Any:
    return _split("row", parts, share)


def _column(*parts: Any, share: int | None = None) -> Any:
    return _split("column", parts, share)


def _split(direction: str, parts: tuple[Any, ...], share: int | None = None) -> Any:
    """Return parts side by side, as halves in halves; `share` is the first one's, in percent."""
    if len(parts) == 1:
        return parts[0]
    return {
        "direction": direction,
        "first": parts[0],
        "second": _split(direction, parts[1:]),
        "splitPercentage": round(100 / len(parts)) if share is None else share,
    }
