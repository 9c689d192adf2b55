"""Where the numbers of a cell live in MuJoCo's flat arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from labvla_sim.arms.franka_hand import GRIPPER
from labvla_sim.scene.hot_plate import BUTTON
from labvla_sim.scene.things import STIR_BAR

if TYPE_CHECKING:
    from labvla_policy.runtime.cell import Cell
    from labvla_sim.scene.build import Scene

Indices = NDArray[np.intp]

FINGERS = ("left_finger", "right_finger")


@dataclass(frozen=True)
class Addresses:
    """Indices for one compiled scene."""

    positions: Indices  # arm joints in qpos, in the cell's order
    velocities: Indices  # the same in qvel
    motors: Indices  # the same in ctrl
    fingers: Indices  # arms x 2, in qpos
    grippers: Indices  # one per arm, in ctrl
    flanges: Indices  # bodies
    objects: dict[str, int]  # bodies that a task may ask for
    button: int | None  # in qpos
    stir_bar: int | None  # in ctrl

    @staticmethod
    def of(cell: Cell, scene: Scene) -> Addresses:
        """Look everything up by name."""
        model = scene.model
        joints = [model.joint(f"{arm.name}/{name}") for arm in cell.arms for name in arm.joints]
        fingers = [
            [model.joint(f"{arm.name}/{side}").qposadr[0] for side in FINGERS] for arm in cell.arms
        ]
        description = scene.description
        return Addresses(
            positions=_array([joint.qposadr[0] for joint in joints]),
            velocities=_array([joint.dofadr[0] for joint in joints]),
            motors=_array([model.actuator(joint.name).id for joint in joints]),
            fingers=_array(fingers),
            grippers=_array([model.actuator(f"{arm.name}/{GRIPPER}").id for arm in cell.arms]),
            flanges=_array([model.body(f"{arm.name}/flange").id for arm in cell.arms]),
            objects=_objects(model),
            button=None if description.hot_plate is None else int(model.joint(BUTTON).qposadr[0]),
            stir_bar=None if description.stirrer is None else int(model.actuator(STIR_BAR).id),
        )


def _array(values: list[Any]) -> Indices:
    return np.array(values, dtype=np.intp)


def _objects(model: Any) -> dict[str, int]:
    """Return all bodies on the bench: everything but the world and parts of arms."""
    names = {number: model.body(number).name for number in range(1, model.nbody)}
    return {name: number for number, name in names.items() if name and "/" not in name}
