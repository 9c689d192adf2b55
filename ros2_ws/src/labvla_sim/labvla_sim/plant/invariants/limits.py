"""What must hold at every tick, as numbers: most of them from the cell, the rest with a reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from labvla_policy.runtime.cell import Impedance
from labvla_sim.plant.invariants.series import Bounds

if TYPE_CHECKING:
    from labvla_policy.runtime.cell import Arm, Cell
    from labvla_policy.runtime.cell.limits import VelocityCurve
    from labvla_policy.runtime.types import Array

STANDSTILL = Bounds.at_most(
    0.8
)  # s, the controller's promise after the last chunk and after every stop
BLIND = Bounds.at_most(0.5)  # s, the controller's promise for a plan that nothing newer confirms

# The cell has no limit for these. An operating speed of 30 % allows 2 m/s of a stretched arm; what
# carries glass in reach of a person has no business above 1 m/s.
TOOL_SPEED = Bounds.at_most(1.0)  # m/s
# ISO/TS 15066 bears 140 N on a hand for as long as it lasts. It measures through a filter of
# 100 Hz, and so does the monitor.
CONTACT_FORCE = Bounds.at_most(140.0)  # N
PRESS_FORCE = Bounds.at_most(30.0)  # N, on a button whose spring takes 2 N
GRASP_SHARE = 1.5  # of the gripper's force: it may close on something that moves

# A robot that clips torques does not obey any more. Noise must not hide that: 5 sigma of it.
EFFORT_ROOM = 0.25  # Nm


@dataclass(frozen=True, eq=False)
class Curve:
    """Speed that the robot allows towards one end of the range, per joint."""

    c: Array
    k: Array
    q: Array

    def speed(self, distance: Array) -> Array:
        """Return the largest speed at a distance before q."""
        result: Array = np.maximum(0.0, self.c + np.sqrt(self.k * np.maximum(0.0, distance)))
        return result


@dataclass(frozen=True, eq=False)
class Limits:
    """Bounds of all joints of a cell, in its order."""

    position: Bounds  # of the reference, rad
    velocity: Bounds
    acceleration: Bounds
    jerk: Bounds
    torque: Bounds  # of the command, Nm
    torque_step: Bounds  # per tick
    hardware_position: Bounds  # of the measured joints
    hardware_velocity: Array
    hardware_torque: Bounds
    downward: Curve
    upward: Curve
    grasp: Bounds  # N

    def velocity_at(self, positions: Array) -> Bounds:
        """Return the velocities that the robot bears at each position."""
        down = self.downward.speed(positions - self.downward.q)
        up = self.upward.speed(self.upward.q - positions)
        fastest = self.hardware_velocity
        return Bounds(np.minimum(fastest, up), -np.minimum(fastest, down))


def limits_of(cell: Cell, tick: float) -> Limits:
    """Return the limits of a cell whose arms take torques; `tick` is in seconds."""
    operating = [arm.operating_limits for arm in cell.arms]
    hardware = [arm.hardware_limits for arm in cell.arms]
    springs = [_springs(arm) for arm in cell.arms]
    return Limits(
        position=Bounds(
            _joined([o.position_upper for o in operating]),
            _joined([o.position_lower for o in operating]),
        ),
        velocity=Bounds.symmetric(_joined([o.velocity for o in operating])),
        acceleration=Bounds.symmetric(_joined([o.acceleration for o in operating])),
        jerk=Bounds.symmetric(_joined([o.jerk for o in operating])),
        torque=Bounds.symmetric(_joined([s.torque for s in springs])),
        torque_step=Bounds.symmetric(_joined([s.torque_rate for s in springs]) * tick),
        hardware_position=Bounds(
            _joined([h.position_upper for h in hardware]),
            _joined([h.position_lower for h in hardware]),
        ),
        hardware_velocity=_joined([h.velocity for h in hardware]),
        hardware_torque=Bounds.symmetric(_joined([h.torque for h in hardware]) - EFFORT_ROOM),
        downward=_curve([_near(arm, "lower") for arm in cell.arms]),
        upward=_curve([_near(arm, "upper") for arm in cell.arms]),
        grasp=Bounds.at_most(GRASP_SHARE * max(arm.gripper.force for arm in cell.arms)),
    )


def _springs(arm: Arm) -> Impedance:
    if not isinstance(arm.compliance, Impedance):
        raise ValueError(f"{arm.name}: expected impedance, got {arm.compliance.kind}")
    return arm.compliance


def _near(arm: Arm, end: str) -> tuple[tuple[float, ...], ...]:
    """Return c, k and q of one end; a robot without a curve is as fast as it may be everywhere."""
    near = arm.hardware_limits.velocity_near_limits
    if near is None:
        joints = len(arm.joints)
        return (np.inf,) * joints, (0.0,) * joints, (0.0,) * joints
    curve: VelocityCurve = getattr(near, end)
    return curve.c, curve.k, curve.q


def _curve(arms: list[tuple[tuple[float, ...], ...]]) -> Curve:
    c, k, q = (_joined([arm[part] for arm in arms]) for part in range(3))
    return Curve(c, k, q)


def _joined(parts: list[tuple[float, ...]]) -> Array:
    return np.concatenate([np.asarray(part, dtype=np.float64) for part in parts])
