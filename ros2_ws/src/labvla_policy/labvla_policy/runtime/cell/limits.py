"""Two tiers of joint limits: what the driver enforces, and what glassware wants."""

import math
from dataclasses import dataclass
from typing import Annotated

from labvla_policy.runtime.cell.schema import key, per_joint
from labvla_policy.runtime.cell.units import (
    ANGLE,
    ANGULAR_ACCELERATION,
    ANGULAR_JERK,
    ANGULAR_SPEED,
    TORQUE,
    TORQUE_RATE,
)

PerJoint = tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class VelocityCurve:
    """Speed allowed towards one end of the range: max(0, c + sqrt(k * distance to q))."""

    c: Annotated[PerJoint, per_joint("offset of the curve", ANGULAR_SPEED, at_most=0)]
    k: Annotated[
        PerJoint,
        per_joint(
            "steepness; it must exceed twice the operating acceleration",
            ANGULAR_ACCELERATION,
            above=0,
        ),
    ]
    q: Annotated[PerJoint, per_joint("joint position at which the root is zero", ANGLE)]

    def speed(self, joint: int, distance: float) -> float:
        """Return the largest speed at a distance before q; 0 beyond it."""
        return max(0.0, self.c[joint] + math.sqrt(self.k[joint] * max(0.0, distance)))


@dataclass(frozen=True, kw_only=True)
class PositionDependentVelocity:
    """Speed limits that shrink towards the ends of the range, on top of `velocity`."""

    upper: Annotated[VelocityCurve, key("for motion towards position_upper")]
    lower: Annotated[VelocityCurve, key("for motion towards position_lower")]


@dataclass(frozen=True, kw_only=True)
class HardwareLimits:
    """What the driver enforces by a reflex stop: crossing it costs a recovery."""

    position_lower: Annotated[PerJoint, per_joint("smallest joint position", ANGLE)]
    position_upper: Annotated[PerJoint, per_joint("largest joint position", ANGLE)]
    velocity: Annotated[PerJoint, per_joint("largest joint speed", ANGULAR_SPEED, above=0)]
    acceleration: Annotated[
        PerJoint | None,
        per_joint(
            "largest joint acceleration; leave out where the maker publishes none",
            ANGULAR_ACCELERATION,
            above=0,
        ),
    ] = None
    jerk: Annotated[
        PerJoint | None,
        per_joint(
            "largest joint jerk; leave out where the maker publishes none", ANGULAR_JERK, above=0
        ),
    ] = None
    torque: Annotated[PerJoint, per_joint("largest joint torque", TORQUE, above=0)]
    torque_rate: Annotated[
        PerJoint | None,
        per_joint(
            "largest change of the commanded torque; leave out where the maker publishes none",
            TORQUE_RATE,
            above=0,
        ),
    ] = None
    velocity_near_limits: Annotated[
        PositionDependentVelocity | None,
        key("speed limits that depend on the joint position (Franka)"),
    ] = None

    def velocity_range(self, joint: int, position: float) -> tuple[float, float]:
        """Return the smallest and the largest velocity that the robot allows at a position."""
        fastest = self.velocity[joint]
        near = self.velocity_near_limits
        if near is None:
            return -fastest, fastest
        downward = near.lower.speed(joint, position - near.lower.q[joint])
        upward = near.upper.speed(joint, near.upper.q[joint] - position)
        return -min(fastest, downward), min(fastest, upward)


@dataclass(frozen=True, kw_only=True)
class OperatingLimits:
    """What the reference obeys at every sample; it always lies inside the hardware limits."""

    position_lower: Annotated[
        PerJoint, per_joint("smallest joint position of the reference", ANGLE)
    ]
    position_upper: Annotated[PerJoint, per_joint("largest joint position of the reference", ANGLE)]
    velocity: Annotated[
        PerJoint, per_joint("largest speed of the reference", ANGULAR_SPEED, above=0)
    ]
    acceleration: Annotated[
        PerJoint,
        per_joint(
            "largest acceleration of the reference, and what every stop may use",
            ANGULAR_ACCELERATION,
            above=0,
        ),
    ]
    jerk: Annotated[PerJoint, per_joint("largest jerk of the reference", ANGULAR_JERK, above=0)]


def braking_margin(c: float, k: float, velocity: float, acceleration: float) -> float:
    """Return how far an operating limit must stay inside the root q of a hardware speed curve.

    Any motion that can still stop before the operating limit is, at distance d from it, no faster
    than min(velocity, sqrt(2 * acceleration * d)). The hardware curve there allows
    c + sqrt(k * (d + margin)). With the margin returned here the second is never below the first:
    obeying the constant operating limits then obeys the position-dependent ones too, and the
    controller needs no second rule for them.

    Needs k > 2 * acceleration; otherwise faster motions would need ever more margin.
    """
    braking_distance = velocity**2 / (2 * acceleration)
    margin = c**2 / (k - 2 * acceleration)
    distance_of_least_gap = 2 * acceleration * margin / (k - 2 * acceleration)
    if distance_of_least_gap <= braking_distance:
        return margin
    # The motion never gets fast enough to come that near: its top speed decides.
    return (velocity - c) ** 2 / k - braking_distance
