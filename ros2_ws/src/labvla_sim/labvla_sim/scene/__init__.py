"""Scenes as data: a description says what stands where, `build_scene` makes the model."""

from labvla_sim.scene.build import Scene, build_scene
from labvla_sim.scene.description import (
    Beaker,
    CameraShift,
    Clutter,
    HotPlate,
    Light,
    Look,
    Place,
    SceneDescription,
    Stirrer,
)

__all__ = [
    "Beaker",
    "CameraShift",
    "Clutter",
    "HotPlate",
    "Light",
    "Look",
    "Place",
    "Scene",
    "SceneDescription",
    "Stirrer",
    "build_scene",
]
