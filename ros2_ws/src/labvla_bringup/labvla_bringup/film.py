"""Writes what a camera sees into a video file."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage

from labvla_bringup.graph import Graph
from labvla_policy.nodes import qos

RATE = 30.0  # Hz


class Film:
    """A film of a JPEG stream, while the graph is spun."""

    def __init__(self, graph: Graph, topic: str, path: Path) -> None:
        self.path = path
        self.frames = 0
        self._writer: cv2.VideoWriter | None = None
        self._subscription = graph.node.create_subscription(
            CompressedImage, topic, self._on_picture, qos.IMAGES
        )

    def _on_picture(self, message: CompressedImage) -> None:
        picture = cv2.imdecode(np.frombuffer(message.data, np.uint8), cv2.IMREAD_COLOR)
        if picture is None:
            return
        if self._writer is None:
            code = cv2.VideoWriter.fourcc(*"mp4v")
            height, width = picture.shape[:2]
            self._writer = cv2.VideoWriter(str(self.path), code, RATE, (width, height))
        self._writer.write(picture)
        self.frames += 1

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.release()
