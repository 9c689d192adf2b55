"""What crisp_controllers are sent: one set-point at a time, made here at the streaming rate.

They smooth a bare pose or joint target with a first-order filter, keep the last one for ever and
read neither joint names nor frames: order, frame, speed and end are the sender's business. Nobody
stops the arm when the sender dies; it then rests, compliantly, on the last set-point.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from labvla_policy.runtime.adapters.trajectory import (
    Reference,
    Shaping,
    Trajectory,
    trajectory_from_plan,
)
from labvla_policy.runtime.rotations import quaternion_of
from labvla_policy.runtime.types import Array, Prediction


def crisp_trajectory(
    plan: Prediction, reference: Reference, now: int, shaping: Shaping | None = None
) -> Trajectory:
    """Return what to stream from `now` on.

    `reference` is the last set-point sent (after an activation, the measured state): the controller
    publishes none. Its joint order is that of the controller's `joints`, since names are not read.
    """
    # No lead: there is no way between the one who samples and the one who sends.
    return trajectory_from_plan(plan, reference, now, replace(shaping or Shaping(), lead=0.0))


def reference_after(trajectory: Trajectory, t: int) -> Reference:
    """Return the set-point that was due at `t`: where the next trajectory begins."""
    positions, velocities = trajectory.at(t)
    return Reference(t, trajectory.joint_names, positions, velocities)


def joint_setpoint(trajectory: Trajectory, t: int) -> Array:
    """Return the positions for `target_joint` at `t`, in the controller's order."""
    return trajectory.at(t)[0]


def pose_setpoint(
    trajectory: Trajectory,
    t: int,
    forward: Callable[[Array], Array],
    previous: Array | None = None,
) -> tuple[Array, Array]:
    """Return position and quaternion (x, y, z, w) for `target_pose` at `t`.

    `forward` gives the 4 x 4 pose of the controller's end_effector_frame **in the root of its own
    model**: the header's frame is not looked at. With the quaternion sent before, the new one takes
    the sign that does not turn the long way round in a filter.
    """
    pose = forward(joint_setpoint(trajectory, t))
    quaternion = quaternion_of(pose[:3, :3])
    if previous is not None and float(quaternion @ previous) < 0.0:
        quaternion = -quaternion
    return pose[:3, 3], quaternion
