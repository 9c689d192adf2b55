"""The true state of a scene: for judges and scripted experts, never for policies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import mujoco
import numpy as np

from labvla_sim.plant.addresses import Addresses

if TYPE_CHECKING:
    from labvla_policy.runtime.cell import Cell
    from labvla_policy.runtime.types import Array
    from labvla_sim.plant.hot_plate_device import HotPlateState
    from labvla_sim.scene.build import Scene

Part = Literal["left_pad", "right_pad", "arm"]


@dataclass(frozen=True)
class BodyPose:
    """Where a body is in the cell's frame."""

    position: Array  # 3
    rotation: Array  # 3 x 3

    @property
    def tilt(self) -> float:
        """Angle between the body's own z axis and vertical, rad."""
        return float(np.arccos(np.clip(self.rotation[2, 2], -1.0, 1.0)))


@dataclass(frozen=True)
class Touch:
    """An arm touches something."""

    arm: str
    part: Part
    body: str  # what is touched; "world" for the bench, another arm's body by its name
    force: float  # N along the contact's normal


@dataclass(frozen=True)
class Truth:
    """One instant of the scene."""

    time: float  # s since the reset
    joints: Array  # rad, all arms
    velocities: Array  # rad/s
    widths: Array  # m between the fingers, one per arm
    tools: Array  # arms x 4 x 4, tool centre points in the cell's frame
    bodies: dict[str, BodyPose]
    touches: tuple[Touch, ...]
    hot_plate: HotPlateState | None

    def holders(self, body: str) -> set[Part]:
        """Return which parts of any arm touch the body."""
        return {touch.part for touch in self.touches if touch.body == body}


class TruthReader:
    """Reads the truth out of MuJoCo's arrays."""

    def __init__(self, cell: Cell, scene: Scene, addresses: Addresses) -> None:
        self._model, self._at = scene.model, addresses
        self._tools = [arm.tcp.matrix() for arm in cell.arms]
        self._parts, self._owners = _label(scene.model, [arm.name for arm in cell.arms])
        self._of_arms = np.zeros(scene.model.ngeom, dtype=bool)
        self._of_arms[list(self._parts)] = True
        self.liftable = _liftable(scene.model)  # bodies that nothing holds but gravity

    def read(self, data: Any, ticks: int, plate: HotPlateState | None) -> Truth:
        """Return the truth now."""
        at = self._at
        return Truth(
            time=ticks * 1e-3,
            joints=data.qpos[at.positions],
            velocities=data.qvel[at.velocities],
            widths=data.qpos[at.fingers].sum(axis=1),
            tools=np.stack(
                [
                    _matrix(data, flange) @ tool
                    for flange, tool in zip(at.flanges, self._tools, strict=True)
                ]
            ),
            bodies={
                name: BodyPose(data.xpos[body].copy(), data.xmat[body].reshape(3, 3).copy())
                for name, body in at.objects.items()
            },
            touches=tuple(self.touches(data)),
            hot_plate=plate,
        )

    def touches(self, data: Any) -> list[Touch]:
        """Return what the arms touch now; cheap while they touch nothing."""
        touches: list[Touch] = []
        if not data.ncon:
            return touches
        pairs = data.contact.geom
        concerned = self._of_arms[pairs].any(axis=1)
        if not concerned.any():
            return touches
        force = np.zeros(6)
        for number in np.flatnonzero(concerned):
            mujoco.mj_contactForce(self._model, data, number, force)
            for mine, other in (pairs[number], pairs[number][::-1]):
                label = self._parts.get(int(mine))
                if label is not None:
                    touches.append(Touch(*label, self._owners[int(other)], float(force[0])))
        return touches


def _label(model: Any, arms: list[str]) -> tuple[dict[int, tuple[str, Part]], dict[int, str]]:
    """Return the arm and part of each arm geom, and the body of every geom."""
    parts: dict[int, tuple[str, Part]] = {}
    owners: dict[int, str] = {}
    for geom in range(model.ngeom):
        body = model.body(model.geom_bodyid[geom]).name
        owners[geom] = body
        arm, _, rest = body.partition("/")
        if rest and arm in arms:
            name = model.geom(geom).name
            part: Part = "arm"
            if name.endswith("_pad"):
                part = "left_pad" if "left" in name else "right_pad"
            parts[geom] = (arm, part)
    return parts, owners


def _liftable(model: Any) -> frozenset[str]:
    joints = range(model.njnt)
    free = [j for j in joints if model.jnt_type[j] == mujoco.mjtJoint.mjJNT_FREE]
    return frozenset(model.body(model.jnt_bodyid[j]).name for j in free)


def _matrix(data: Any, body: int) -> Array:
    pose = np.eye(4)
    pose[:3, :3] = data.xmat[body].reshape(3, 3)
    pose[:3, 3] = data.xpos[body]
    return pose
