"""A cell in MuJoCo behind the robots' own interfaces: torques in, measured joints out."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import mujoco
import numpy as np

from labvla_sim.plant.addresses import Addresses
from labvla_sim.plant.disturbances import Disturbance, Obstacle, Push
from labvla_sim.plant.hot_plate_device import HotPlateDevice, HotPlateState
from labvla_sim.plant.slides import Slide
from labvla_sim.plant.truth import Touch, Truth, TruthReader
from labvla_sim.quality import CAMERA
from labvla_sim.scene.board import BoardOn
from labvla_sim.scene.build import TIMESTEP, Scene, build_scene
from labvla_sim.scene.description import SceneDescription

if TYPE_CHECKING:
    from collections.abc import Sequence

    from labvla_policy.runtime.cell import Cell
    from labvla_policy.runtime.types import Array
    from labvla_sim.arms import ArmSource

TICK = 1_000_000  # ns of one control cycle
_STIR_SPEED = 30.0  # rad/s
_NOISE_BLOCK = 1024  # ticks drawn at once


@dataclass(frozen=True)
class Noise:
    """Standard deviations of what the robot reports."""

    position: float = 2e-5  # rad
    velocity: float = 2e-3  # rad/s
    effort: float = 0.05  # Nm


SILENT = Noise(0.0, 0.0, 0.0)


@dataclass(frozen=True)
class RobotState:
    """What the robots report, in the order of the cell's joints and arms."""

    stamp: int  # ns on the simulated clock
    positions: Array  # rad
    velocities: Array  # rad/s
    efforts: Array  # Nm, gravity included
    widths: Array  # m between the fingers, one per arm


@dataclass(frozen=True)
class Snapshot:
    """All that a renderer needs, safe to hand to another thread."""

    stamp: int  # ns
    scene: Scene
    positions: Array  # MuJoCo's qpos
    hot_plate: HotPlateState | None
    places: Array  # of all bodies in their parents: what is fixed to the bench may be slid


class SimCell:
    """One simulated cell, advanced tick by tick (1 ms).

    Only one thread may step it; `snapshot` and `state` may be called from any. The same reset and
    commands give the same numbers, bit for bit, on the same machine and library versions.
    """

    def __init__(
        self,
        cell: Cell,
        description: SceneDescription | None = None,
        *,
        source: ArmSource = "generated",
        noise: Noise = Noise(),  # frozen
        board: BoardOn | None = None,
    ) -> None:
        """Put up a scene; a calibration board, if there is one, is in every scene."""
        self.cell = cell
        self._source: ArmSource = source
        self._noise, self._board = noise, board
        self._lock = threading.Lock()
        self._torque = np.concatenate([arm.hardware_limits.torque for arm in cell.arms])
        self._torque_step = np.concatenate([_torque_step(arm) for arm in cell.arms])
        self._width_step = np.array([arm.gripper.speed * TIMESTEP for arm in cell.arms])
        self._stroke = np.array([arm.gripper.stroke for arm in cell.arms])
        self._clock = 0
        self.reset(description or SceneDescription())

    def reset(
        self,
        description: SceneDescription,
        joints: Array | None = None,
        widths: Array | None = None,
        seed: int = 0,
    ) -> None:
        """Put up a scene with the robots at rest. The simulated clock goes on.

        Args:
            description: what stands where.
            joints: positions of all arms; the posture `ready`, else `home`, if not given.
            widths: metres between the fingers; open if not given.
            seed: of the sensors' noise.
        """
        scene = build_scene(self.cell, description, CAMERA, self._source, self._board)
        data = mujoco.MjData(scene.model)
        at = Addresses.of(self.cell, scene)
        data.qpos[at.positions] = self._start() if joints is None else joints
        opening = self._stroke if widths is None else np.asarray(widths, dtype=np.float64)
        data.qpos[at.fingers] = opening[:, None] / 2
        data.ctrl[at.grippers] = opening
        stirrer = description.stirrer
        if at.stir_bar is not None and stirrer is not None:
            data.ctrl[at.stir_bar] = _STIR_SPEED if stirrer.running else 0.0
        mujoco.mj_forward(scene.model, data)
        plate = description.hot_plate
        with self._lock:
            self.scene, self._data, self._at = scene, data, at
            self._truth = TruthReader(self.cell, scene, at)
            self._plate = None if plate is None else HotPlateDevice(plate.set_point)
            self._ticks = 0
            self._pending = np.zeros(len(self._torque))
            self._applied = np.zeros(len(self._torque))
            self._pending_widths = opening.copy()
            self._disturbances: list[Disturbance] = []
            self._slides: list[Slide] = []
            self._random = np.random.default_rng([seed, 0x5E15])
            self._draw_noise()

    def place(self, positions: Sequence[float] | Array) -> None:
        """Put all joints and things where a snapshot of the same scene had them, at rest."""
        wanted = np.asarray(positions, dtype=np.float64)
        with self._lock:
            if wanted.shape != self._data.qpos.shape or not np.isfinite(wanted).all():
                raise ValueError(
                    f"expected {len(self._data.qpos)} finite positions as in a snapshot of this "
                    f"scene, got {wanted.shape}"
                )
            self._data.qpos[:] = wanted
            self._data.qvel[:] = 0.0
            mujoco.mj_forward(self.scene.model, self._data)

    def set_hot_plate(self, running: bool, temperature: float | None) -> None:
        """Have the hot plate be as it was once; a scene without one stays as it is."""
        with self._lock:
            if self._plate is not None:
                self._plate.restore(running, temperature)

    @property
    def stamp(self) -> int:
        """Simulated time in ns; it never goes back, not even at a reset."""
        return self._clock

    @property
    def ticks(self) -> int:
        """Ticks since the reset."""
        return self._ticks

    def step(self, torques: Sequence[float] | Array, widths: Sequence[float] | Array) -> None:
        """Advance by one tick.

        Args:
            torques: Nm per joint on top of gravity compensation, as the robot's own effort
                interface takes them. They act one cycle later.
            widths: targets in metres between the fingers, one per arm.
        """
        command = np.asarray(torques, dtype=np.float64)
        if not np.isfinite(command).all():
            raise ValueError(f"expected finite torques, got {command}: the robot would refuse them")
        with self._lock:
            self._actuate(widths)
            self._pending = command.copy()
            for slide in self._slides:
                slide.step(self._data)
            self._slides = [slide for slide in self._slides if not slide.over]
            mujoco.mj_step(self.scene.model, self._data)
            if self._plate is not None:
                self._plate.step(float(self._data.qpos[self._at.button]), TIMESTEP)
            self._ticks += 1
            self._clock += TICK
            if self._ticks % _NOISE_BLOCK == 0:
                self._draw_noise()

    def state(self) -> RobotState:
        """Return what the robots report now, noise included."""
        with self._lock:
            data, at = self._data, self._at
            row = self._noise_rows[self._ticks % _NOISE_BLOCK]
            gravity = data.qfrc_gravcomp[at.velocities]
            return RobotState(
                stamp=self._clock,
                positions=data.qpos[at.positions] + self._noise.position * row[0],
                velocities=data.qvel[at.velocities] + self._noise.velocity * row[1],
                efforts=self._applied + gravity + self._noise.effort * row[2],
                widths=data.qpos[at.fingers].sum(axis=1),
            )

    def truth(self) -> Truth:
        """Return the true state; for judges and experts only."""
        with self._lock:
            plate = None if self._plate is None else self._plate.state
            return self._truth.read(self._data, self._ticks, plate)

    def touches(self) -> list[Touch]:
        """Return what the arms touch now: part of the truth, at a price that every tick can pay."""
        with self._lock:
            touches = self._truth.touches(self._data)
            for one in self._disturbances:
                if isinstance(one, Obstacle) and one.force > 0.0:
                    arm, _, _ = self.scene.model.body(one.body).name.partition("/")
                    touches.append(Touch(arm, "arm", "obstacle", one.force))
            return touches

    @property
    def liftable(self) -> frozenset[str]:
        """Bodies that a gripper may lift."""
        return self._truth.liftable

    def snapshot(self) -> Snapshot:
        """Return a copy of what is visible."""
        with self._lock:
            plate = None if self._plate is None else self._plate.state
            places = self.scene.model.body_pos.copy()
            return Snapshot(self._clock, self.scene, self._data.qpos.copy(), plate, places)

    def push(self, body: str, wrench: Sequence[float] | Array, duration: float) -> None:
        """Push a body with a force and torque (cell's frame) for some seconds: a fault hook.

        Bodies of arms are named `<arm>/hand`, `<arm>/link4`, ...; things by their own name.
        """
        ticks = round(duration / TIMESTEP)
        with self._lock:
            wanted = np.asarray(wrench, dtype=np.float64)
            self._disturbances.append(Push(self._body(body), wanted, ticks))

    def block(self, body: str, duration: float) -> None:
        """Put an obstacle in the way of a moving body for some seconds: a fault hook."""
        ticks = round(duration / TIMESTEP)
        with self._lock:
            self._disturbances.append(
                Obstacle.before(self.scene.model, self._data, self._body(body), ticks)
            )

    def _body(self, name: str) -> int:
        return int(self.scene.model.body(name).id)

    def slide(self, body: str, offset: Sequence[float] | Array, duration: float) -> None:
        """Slide a thing across the bench by an offset (x, y in m) within some seconds."""
        ticks = max(round(duration / TIMESTEP), 1)
        with self._lock:
            way = np.asarray(offset, dtype=np.float64)
            self._slides.append(Slide(self.scene.model, self._data, body, way, ticks))

    def _actuate(self, widths: Sequence[float] | Array) -> None:
        """Do what the robots' own electronics do with the commands of the cycle before."""
        data, at = self._data, self._at
        gravity = data.qfrc_gravcomp[at.velocities]
        change = np.clip(self._pending - self._applied, -self._torque_step, self._torque_step)
        total = np.clip(self._applied + change + gravity, -self._torque, self._torque)
        self._applied = total - gravity
        data.ctrl[at.motors] = self._applied
        goal = np.clip(self._pending_widths, 0.0, self._stroke)
        at_work = data.ctrl[at.grippers]
        data.ctrl[at.grippers] = at_work + np.clip(
            goal - at_work, -self._width_step, self._width_step
        )
        self._pending_widths = np.array(widths, dtype=np.float64)
        data.xfrc_applied[:] = 0.0
        for disturbance in self._disturbances:
            disturbance.apply(data)
        self._disturbances = [d for d in self._disturbances if d.ticks > 0]

    def _start(self) -> Array:
        names = {posture.name for posture in self.cell.arms[0].postures}
        name = "ready" if "ready" in names else "home"
        return np.concatenate([arm.posture(name).joints for arm in self.cell.arms])

    def _draw_noise(self) -> None:
        shape = (_NOISE_BLOCK, 3, len(self._torque))
        self._noise_rows = self._random.standard_normal(shape)


def _torque_step(arm: Any) -> Array:
    rate = arm.hardware_limits.torque_rate
    joints = len(arm.joints)
    return np.full(joints, np.inf) if rate is None else np.asarray(rate) * TIMESTEP
