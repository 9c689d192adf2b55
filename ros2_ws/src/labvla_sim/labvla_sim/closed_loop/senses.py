"""What the policy's node would have received: its rings, filled in simulated time.

Pictures go in as snapshots of the scene and are drawn when something decodes them: a frame that no
observation uses costs nothing.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from labvla_policy.runtime.observation.rings import camera_rings, state_rings
from labvla_policy.runtime.streams.cdr import JointState
from labvla_policy.runtime.types import NANOSECONDS
from labvla_sim.plant.controlled import PERIOD, STATE_RATE
from labvla_sim.plant.gripper_joints import gripper_readings

if TYPE_CHECKING:
    from collections.abc import Callable

    from labvla_policy.runtime.cell import Camera, Cell
    from labvla_policy.runtime.types import Pixels
    from labvla_sim.plant.rendering import CellRenderer
    from labvla_sim.plant.sim_cell import RobotState, SimCell, Snapshot


class Senses:
    """Sensors and rings of one cell, for one episode. Without a renderer there are no pictures."""

    def __init__(self, cell: Cell, sim: SimCell, renderer: CellRenderer | None) -> None:
        self._cell, self._sim, self._renderer = cell, sim, renderer
        self._drawn: tuple[int, dict[str, Pixels]] = (-1, {})
        self.states = state_rings(cell, decode=_as_it_is)
        self.cameras = camera_rings(cell, decoder=self._drawer)
        self._joints_every = _ticks(cell.joint_states.rate)
        self._grippers_every = _ticks(STATE_RATE)
        self._frames = dict.fromkeys(self.cameras, 0)
        self._under_way: list[tuple[int, str, Snapshot | None]] = []  # taken, but not there yet

    def take(self, tick: int, measured: RobotState) -> bool:
        """Take in whatever comes in a control cycle; tell whether a picture was among it.

        Pictures come when they are due, whether somebody draws them or not.
        """
        stamp = measured.stamp
        if tick % self._joints_every == 0:
            joints = JointState(self._cell.joints, measured.positions)
            self.states[self._cell.joint_states.topic].push(joints, stamp, stamp)
        if tick % self._grippers_every == 0:
            for topic, reading in gripper_readings(self._cell, measured).items():
                fingers = JointState(reading.names, reading.positions)
                self.states[topic].push(fingers, stamp, stamp)
        now = self._sim.stamp
        self._expose(tick, now)
        arrived = [frame for frame in self._under_way if frame[0] <= now]
        self._under_way = [frame for frame in self._under_way if frame[0] > now]
        for arrival, camera, snapshot in arrived:
            if snapshot is not None:
                self.cameras[camera].push(snapshot, arrival, arrival)
        return bool(arrived)

    def _expose(self, tick: int, now: int) -> None:
        seconds = tick * PERIOD
        due = [c for c in self._cell.policy_cameras if seconds * c.rate >= self._frames[c.name]]
        if not due:
            return
        snapshot = None if self._renderer is None else self._sim.snapshot()
        for camera in due:
            self._frames[camera.name] += 1
            arrival = now + round(camera.latency * NANOSECONDS)
            self._under_way.append((arrival, camera.name, snapshot))

    def _drawer(self, camera: Camera) -> Callable[[Any], Pixels]:
        return partial(self._draw, camera.name)

    def _draw(self, camera: str, snapshot: Snapshot) -> Pixels:
        """Draw all cameras at once: an observation needs them together."""
        assert self._renderer is not None
        if self._drawn[0] != snapshot.stamp:
            self._drawn = (snapshot.stamp, self._renderer.render(snapshot))
        return self._drawn[1][camera]


def _as_it_is(sample: JointState) -> JointState:
    return sample


def _ticks(rate: float) -> int:
    return max(round(1.0 / (rate * PERIOD)), 1)
