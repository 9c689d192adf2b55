"""How finely a scene is drawn: as a camera stream that must keep up, or as a picture."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Quality:
    """Everything that trades time for looks; physics never depends on it."""

    name: str
    segments: int  # around the axis of turned and swept shapes
    tessellation: tuple[int, int, int]  # slices, stacks and quads of MuJoCo's own shapes
    samples: int  # per pixel, against jagged edges
    shadow_size: int  # pixels of the shadow map; 0 draws no shadows
    reflections: bool
    textures: bool  # tiled floor and sky; plain closed room otherwise


# In software rendering multisampling or shadows triple the time, and a textured floor and sky take
# another third, visible or not. 90 frames/s must leave room for the physics on the same two cores.
CAMERA = Quality("camera", 14, (10, 6, 1), 0, 0, reflections=False, textures=False)
BEAUTY = Quality("beauty", 48, (40, 24, 4), 4, 8192, reflections=True, textures=True)

QUALITIES = {quality.name: quality for quality in (CAMERA, BEAUTY)}
