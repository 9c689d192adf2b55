"""What every frame of a demonstration holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from labvla_data.dataset import ACTION, IMAGES, STATE, Column, Features
from labvla_data.dataset.features import INTERVENTION, STAMPS
from labvla_data.export.commands import Track
from labvla_data.export.episode import features_of
from labvla_policy.runtime.columns import policy_columns
from labvla_policy.runtime.types import NANOSECONDS, Array, Observation
from labvla_sim.scene.glass import size_of
from labvla_sim.scene.hot_plate import BUTTON
from labvla_sim.tasks.pick import TARGET, is_held

if TYPE_CHECKING:
    from labvla_policy.runtime.cell import Cell
    from labvla_sim.closed_loop import MotionRecorder
    from labvla_sim.plant.truth import Truth
    from labvla_sim.scene.description import SceneDescription

# Not under `observation.`: LeRobot's policies take all that is there for what a robot can sense.
TRUTH = "truth"
_OBJECTS = {"beaker": TARGET, "button": BUTTON}  # name -> body
_STATES = ("beaker.held", "beaker.tilt", "button.travel", "hot_plate.running")
TRUTH_NAMES = (
    *(
        f"{thing}.{frame}.{axis}"
        for thing in _OBJECTS
        for frame in ("base", "tool")
        for axis in "xyz"
    ),
    *_STATES,
)


@dataclass(frozen=True, eq=False)
class Moment:
    """What was seen and what was so when a picture was taken."""

    seen: Observation
    truth: Array
    phase: str  # what the expert was doing


def features(cell: Cell) -> Features:
    """Return the columns of `labvla export`, and the truth beside them."""
    return {**features_of(cell), TRUTH: Column("float32", TRUTH_NAMES)}


def truth_row(cell: Cell, scene: SceneDescription, truth: Truth) -> Array:
    """Return where the objects are (m) from the first arm's foot and tool, and their states.

    In the tool's frame z points out of the hand and the fingers close along y. Tilt is in rad,
    travel in m; held and running are 0 or 1.
    """
    plate = truth.hot_plate
    base = np.linalg.inv(cell.arms[0].base.matrix())
    tool = np.linalg.inv(truth.tools[0])
    places = [
        (frame @ [*truth.bodies[body].position, 1.0])[:3]
        for body in _OBJECTS.values()
        for frame in (base, tool)
    ]
    held = is_held(truth, size_of(scene.beaker(TARGET)).diameter)
    states = [
        float(held),
        truth.bodies[TARGET].tilt,
        plate.travel if plate else 0.0,
        float(plate is not None and plate.running),
    ]
    return np.concatenate([*places, states])


def frames(cell: Cell, moments: list[Moment], motion: MotionRecorder) -> list[dict[str, Any]]:
    """Return the frames; the last moments, for which no target is known, are left out.

    The action of a frame is the controller's reference `row_offset` rows later, as in `labvla
    export`.
    """
    track = Track(
        "reference",
        np.array(motion.stamps, dtype=np.int64),
        motion.positions,
        motion.openings,
    )
    later = round(cell.policy.row_offset / cell.policy.row_rate * NANOSECONDS)
    cameras = [camera.name for camera in cell.policy_cameras]
    result = []
    for moment in moments:
        seen = moment.seen
        target = track.at(seen.stamp + later)
        if target is None:
            break
        action = policy_columns(cell, target.positions, target.openings)
        shown = {stamp.camera: stamp.stamp for stamp in seen.camera_stamps}
        stamps = [seen.stamp, *(shown.get(camera, 0) for camera in cameras)]
        result.append(
            {
                STATE: seen.state.astype(np.float32),
                ACTION: action.astype(np.float32),
                STAMPS: np.array(stamps, dtype=np.int64),
                INTERVENTION: False,
                TRUTH: moment.truth.astype(np.float32),
                **{
                    IMAGES + camera: picture
                    for camera, picture in zip(cameras, seen.images, strict=True)
                },
            }
        )
    return result
