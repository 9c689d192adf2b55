"""Where people look from."""

from __future__ import annotations

from typing import Any


def aim_at_cell(camera: Any) -> None:
    """Point a free MuJoCo camera so that the whole cell is seen."""
    camera.lookat[:] = (0.36, 0.02, 0.23)
    camera.distance, camera.azimuth, camera.elevation = 1.62, 136.0, -21.0
