"""The controllers behind the controller bridge: topics of theirs, and what they are sent."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory as TrajectoryMessage
from trajectory_msgs.msg import JointTrajectoryPoint

from labvla_policy.nodes import qos
from labvla_policy.nodes.stamps import to_ns, to_stamp
from labvla_policy.nodes.vendor import message_type
from labvla_policy.runtime.adapters.crisp import reference_after
from labvla_policy.runtime.adapters.jtc import JointTrajectory, jtc_message, jtc_shaping
from labvla_policy.runtime.adapters.trajectory import Reference, Shaping, Trajectory
from labvla_policy.runtime.cell import Cell
from labvla_policy.runtime.joint_sample import select_positions
from labvla_policy.runtime.refusal import Refused
from labvla_policy.runtime.streams import cdr
from labvla_policy.runtime.types import NANOSECONDS, Array

STALE = NANOSECONDS // 10  # what is older was told by a controller or a robot that has ended


class TrajectoryController:
    """joint_trajectory_controller: one message for each plan, and it tells its reference."""

    def __init__(self, node: Node, cell: Cell, name: str) -> None:
        kind = message_type("control_msgs", "msg", "JointTrajectoryControllerState")
        self._kind, self._joints = kind, cell.joints
        self._raw: bytes | None = None  # comes at the controller's rate: read when it is asked for
        self._read: bytes | None = None
        self._reference: Reference | None = None
        self._measured = np.full(len(cell.joints), np.nan)
        self._speed_scaling = 1.0
        node.create_subscription(kind, f"{name}/controller_state", self._keep, qos.NEWEST, raw=True)
        self._publisher = node.create_publisher(
            TrajectoryMessage, f"{name}/joint_trajectory", qos.RELIABLE
        )

    def _keep(self, raw: bytes) -> None:
        self._raw = raw

    def _look(self) -> None:
        if self._raw is self._read or self._raw is None:
            return
        self._read = self._raw
        state = deserialize_message(self._read, self._kind)
        names = list(state.joint_names)
        order = [names.index(joint) for joint in self._joints]  # its own yaml has the cell's joints
        self._reference = Reference(
            to_ns(state.header.stamp),
            self._joints,
            np.asarray(state.reference.positions)[order],
            np.asarray(state.reference.velocities)[order],
        )
        self._measured = np.asarray(state.feedback.positions)[order]
        self._speed_scaling = float(state.speed_scaling_factor)

    def reference(self, now: int) -> Reference | None:
        """Return its own newest reference."""
        self._look()
        known = self._reference
        return known if known is not None and now - known.stamp <= STALE else None

    @property
    def measured(self) -> Array:
        """Where the arms are."""
        return self._measured

    @property
    def speed_scaling(self) -> float:
        """The robot's own, as the controller uses it."""
        return self._speed_scaling

    def shape(self, shaping: Shaping) -> Shaping:
        """Return how plans are shaped at the robot's speed."""
        return jtc_shaping(self._speed_scaling, shaping)

    def send(self, trajectory: Trajectory, now: int) -> None:
        """Publish a trajectory."""
        self._publisher.publish(_message(jtc_message(trajectory, now, self._speed_scaling)))

    def forget(self) -> None:
        """Nothing to forget: it tells where it is."""

    def step(self, now: int) -> None:
        """Nothing to do between plans: the controller follows the trajectory by itself."""


class ImpedanceControllers:
    """crisp_controllers, one for each arm: set-points, streamed from the bridge's own trajectory.

    They tell no reference, so it is the last set-point; at the begin, and after a stop was
    released, it is where the arm is.
    """

    def __init__(self, node: Node, cell: Cell, names: Sequence[str]) -> None:
        self._joints = cell.joints
        self._trajectory: Trajectory | None = None
        self._raw: bytes | None = None
        self._read: bytes | None = None
        self._measured = np.full(len(cell.joints), np.nan)
        self._measured_at = 0
        node.create_subscription(
            JointState, cell.joint_states.topic, self._keep, qos.JOINT_STATES, raw=True
        )
        self._arms = []
        begin = 0
        for arm, name in zip(cell.arms, names, strict=True):
            columns = slice(begin, begin + len(arm.joints))
            begin = columns.stop
            publisher = node.create_publisher(JointState, f"{name}/target_joint", qos.NEWEST)
            self._arms.append((publisher, columns, list(arm.joints)))

    def _keep(self, raw: bytes) -> None:
        self._raw = raw

    def _look(self) -> None:
        if self._raw is self._read or self._raw is None:
            return
        self._read = self._raw
        try:
            state = cdr.read_joint_state(self._read)
            self._measured = select_positions(state.name, state.position, self._joints)
            self._measured_at = cdr.read_stamp(self._read)
        except Refused:
            return  # the policy tells about them; without a good one the reference grows old

    def reference(self, now: int) -> Reference | None:
        """Return the set-point of now, or where the arms are."""
        self._look()
        if now - self._measured_at > STALE:
            return None
        if self._trajectory is not None:
            return reference_after(self._trajectory, now)
        return Reference(now, self._joints, self._measured, np.zeros(len(self._joints)))

    @property
    def measured(self) -> Array:
        """Where the arms are."""
        return self._measured

    @property
    def speed_scaling(self) -> float:
        """Torques know no speed scaling."""
        return 1.0

    def shape(self, shaping: Shaping) -> Shaping:
        """Return the shape without a lead: there is no way between who samples and who sends."""
        return replace(shaping, lead=0.0)

    def send(self, trajectory: Trajectory, now: int) -> None:
        """Stream a trajectory from the next step on."""
        self._trajectory = trajectory

    def forget(self) -> None:
        """Send nothing until the next trajectory, which begins where the arms are."""
        self._trajectory = None

    def step(self, now: int) -> None:
        """Send the set-points of now; at the end of a trajectory the last ones stay."""
        followed = self._trajectory
        if followed is None or now > followed.end:
            return
        positions, velocities = followed.at(now)
        for publisher, columns, names in self._arms:
            publisher.publish(
                JointState(name=names, position=positions[columns], velocity=velocities[columns])
            )


def _message(made: JointTrajectory) -> TrajectoryMessage:
    message = TrajectoryMessage(joint_names=list(made.joint_names))
    message.header.stamp = to_stamp(made.stamp)
    for at, positions, velocities in zip(
        made.times_from_start, made.positions, made.velocities, strict=True
    ):
        point = JointTrajectoryPoint(
            positions=array("d", positions.tobytes()), velocities=array("d", velocities.tobytes())
        )
        seconds, rest = divmod(round(float(at) * NANOSECONDS), NANOSECONDS)
        point.time_from_start.sec, point.time_from_start.nanosec = seconds, rest
        message.points.append(point)
    return message
