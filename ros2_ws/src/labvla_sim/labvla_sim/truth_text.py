"""The true state as text, for scripted experts that run in another process.

What stands where is not written out: task, seed and variation say it, since equal ones give equal
scenes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from labvla_sim.plant.hot_plate_device import HotPlateState
from labvla_sim.plant.truth import BodyPose, Touch, Truth
from labvla_sim.tasks.episode import Episode
from labvla_sim.tasks.variation import VariationName


@dataclass(frozen=True)
class SceneTruth:
    """The true state at a moment of an episode."""

    stamp: int  # ns
    task: str
    seed: int
    variation: VariationName
    truth: Truth


def to_text(stamp: int, episode: Episode, truth: Truth) -> str:
    """Write the true state as JSON."""
    plate = truth.hot_plate
    data: dict[str, Any] = {
        "stamp": stamp,
        "episode": [episode.task, episode.seed, episode.variation],
        "time": truth.time,
        "joints": truth.joints.tolist(),
        "velocities": truth.velocities.tolist(),
        "widths": truth.widths.tolist(),
        "tools": truth.tools.tolist(),
        "bodies": {
            name: [pose.position.tolist(), pose.rotation.tolist()]
            for name, pose in truth.bodies.items()
        },
        "touches": [[t.arm, t.part, t.body, t.force] for t in truth.touches],
        "hot_plate": plate and [plate.travel, plate.pressed, plate.running, plate.temperature],
    }
    return json.dumps(data)


def from_text(text: str) -> SceneTruth:
    """Read what `to_text` has written."""
    data = json.loads(text)
    task, seed, variation = data["episode"]
    return SceneTruth(data["stamp"], task, seed, variation, _truth(data))


def _truth(data: dict[str, Any]) -> Truth:
    plate = data["hot_plate"]
    return Truth(
        time=data["time"],
        joints=np.array(data["joints"]),
        velocities=np.array(data["velocities"]),
        widths=np.array(data["widths"]),
        tools=np.array(data["tools"]),
        bodies={
            name: BodyPose(np.array(position), np.array(rotation))
            for name, (position, rotation) in data["bodies"].items()
        },
        touches=tuple(Touch(*touch) for touch in data["touches"]),
        hot_plate=None if plate is None else HotPlateState(*plate),
    )
