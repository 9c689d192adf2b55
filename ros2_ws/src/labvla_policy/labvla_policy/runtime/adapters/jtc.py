"""What the joint_trajectory_controller is sent, so that replacing its trajectory is no event.

It forgets the old trajectory when the new one arrives, steps onto a trajectory whose points are
already due, moves in a straight line with velocity jumps where velocities are missing, refuses a
last velocity other than zero, and checks neither limits nor NaN.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from labvla_policy.runtime.adapters.trajectory import (
    Reference,
    Shaping,
    Trajectory,
    TrajectoryRefused,
    trajectory_from_plan,
)
from labvla_policy.runtime.types import NANOSECONDS, Array, Prediction

_FULL_SPEED = 0.999
_HELD = 0.05
# s; when the trajectory will be taken up is not known, so where the reference will be then is not
# either: the difference is made up for on this way.
_LEAD_FROM_PICK_UP = 0.1


@dataclass(frozen=True, eq=False)
class JointTrajectory:
    """The fields of a trajectory_msgs/JointTrajectory."""

    stamp: int  # ns; 0: counts from when the controller takes it up
    joint_names: tuple[str, ...]
    times_from_start: Array  # s, increasing
    positions: Array
    velocities: Array


def jtc_trajectory(
    plan: Prediction,
    reference: Reference,
    now: int,
    speed_scaling: float = 1.0,
    shaping: Shaping | None = None,
) -> JointTrajectory:
    """Return the trajectory to publish at `now`."""
    shaping = jtc_shaping(speed_scaling, shaping or Shaping())
    return jtc_message(trajectory_from_plan(plan, reference, now, shaping), now, speed_scaling)


def jtc_shaping(speed_scaling: float, shaping: Shaping) -> Shaping:
    """Return how a plan is shaped for a robot at this share of its speed."""
    if not speed_scaling > _HELD:
        raise TrajectoryRefused(
            "speed_zero", f"the robot runs at {speed_scaling:.3f} of its speed; release it first"
        )
    if speed_scaling < _FULL_SPEED:
        return replace(shaping, lead=max(shaping.lead, _LEAD_FROM_PICK_UP))
    return shaping


def jtc_message(made: Trajectory, now: int, speed_scaling: float = 1.0) -> JointTrajectory:
    """Return a trajectory as it is published at `now`.

    Below full speed the controller slows its own time from the moment it takes a trajectory up, but
    not the stamp: an absolute one would jump ahead, so the trajectory then counts from its pick-up.
    """
    if speed_scaling < _FULL_SPEED:
        stamp, delay = 0, (made.start - now) / NANOSECONDS
    else:
        stamp, delay = made.start, 0.0
    return JointTrajectory(
        stamp, made.joint_names, made.times + delay, made.positions, made.velocities
    )
