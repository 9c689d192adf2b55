"""Whether the keys of one arm fit each other.

A check takes the keys that it needs as parameters of the same name (see `yaml_reader.Check`).
"""

from collections.abc import Iterator, Sequence

from labvla_policy.runtime.cell.arm import (
    DRIVER_JOINTS,
    Admittance,
    Arm,
    ArmKind,
    FrankaDriver,
    FrankaHand,
    Impedance,
    Posture,
    Rigid,
    Robotiq2F85,
    UrDriver,
    Wrench,
)
from labvla_policy.runtime.cell.limits import (
    HardwareLimits,
    OperatingLimits,
    PerJoint,
    VelocityCurve,
    braking_margin,
)
from labvla_policy.runtime.cell.yaml_reader import Checks, Finding


def repeated(names: Sequence[object], place: str, what: str) -> Iterator[Finding]:
    """Find names that occur a second time; `place` has {} for the index."""
    for index, name in enumerate(names):
        if name in names[:index]:
            yield Finding(place.format(index), f"expected every {what} once, got '{name}' again")


def joints_are_the_drivers(
    kind: ArmKind, prefix: str, joints: tuple[str, ...]
) -> Iterator[Finding]:
    """Joint names are matched by name everywhere, and their order is the policy's."""
    duplicates = list(repeated(joints, "joints[{}]", "joint"))
    if duplicates:
        yield from duplicates
        return
    known = [tuple(prefix + name for name in names) for names in DRIVER_JOINTS[kind]]
    wanted = max(known, key=lambda names: len(set(names) & set(joints)))
    hint = f"the driver's names in order: {', '.join(wanted)}"
    if len(joints) != len(wanted):
        yield Finding("joints", f"expected {len(wanted)} joints of {kind}, got {len(joints)}", hint)
        return
    for index, (name, want) in enumerate(zip(joints, wanted, strict=True)):
        if name != want:
            place = f"joints[{index}]"
            yield Finding(place, f"expected '{want}' (joint {index + 1}), got '{name}'", hint)
            return


def driver_fits_the_arm(kind: ArmKind, driver: FrankaDriver | UrDriver | None) -> Iterator[Finding]:
    """A driver speaks to the robots of its maker."""
    wanted = {"fr3": "franka_ros2", "ur5e": "ur_robot_driver"}[kind]
    if driver is not None and driver.kind != wanted:
        yield Finding("driver.kind", f"expected {wanted} for {kind}, got {driver.kind}")


def positions_are_ordered(position_lower: PerJoint, position_upper: PerJoint) -> Iterator[Finding]:
    """The range of every joint has a length."""
    for joint, (lower, upper) in enumerate(zip(position_lower, position_upper, strict=True)):
        if lower >= upper:
            message = f"expected more than position_lower ({lower:g} rad), got {upper:g} rad"
            yield Finding(f"position_upper[{joint}]", message)


def operating_is_inside_hardware(
    hardware_limits: HardwareLimits, operating_limits: OperatingLimits
) -> Iterator[Finding]:
    """A reference inside the operating limits can never cause a reflex."""
    units = {"velocity": "rad/s", "acceleration": "rad/s²", "jerk": "rad/s³"}
    comparisons = [("position_lower", "rad", -1), ("position_upper", "rad", 1)]
    comparisons += [(name, unit, 1) for name, unit in units.items()]
    for name, unit, sign in comparisons:
        hardware: PerJoint | None = getattr(hardware_limits, name)
        operating: PerJoint = getattr(operating_limits, name)
        if hardware is None:
            continue
        for joint, (bound, value) in enumerate(zip(hardware, operating, strict=True)):
            if sign * value > sign * bound:
                side = "at most" if sign > 0 else "at least"
                yield Finding(
                    f"operating_limits.{name}[{joint}]",
                    f"expected {side} {bound:g} {unit}, the hardware limit, got {value:g} {unit}",
                )


def braking_is_inside_hardware(
    hardware_limits: HardwareLimits, operating_limits: OperatingLimits
) -> Iterator[Finding]:
    """A stop at the end of the range stays under the position-dependent speed limit."""
    curves = hardware_limits.velocity_near_limits
    if curves is None:
        return
    for joint, acceleration in enumerate(operating_limits.acceleration):
        flattest = min(curves.upper.k[joint], curves.lower.k[joint])
        if flattest <= 2 * acceleration:
            yield Finding(
                f"operating_limits.acceleration[{joint}]",
                f"expected less than {flattest / 2:g} rad/s², half of the speed curve's k, "
                f"got {acceleration:g} rad/s²",
                "the robot's speed limit would fall faster than the arm can brake",
            )
            continue
        yield from _room_to_brake(operating_limits, joint, curves.upper, sign=1)
        yield from _room_to_brake(operating_limits, joint, curves.lower, sign=-1)


def _room_to_brake(
    limits: OperatingLimits, joint: int, curve: VelocityCurve, sign: int
) -> Iterator[Finding]:
    """Look at one end of the range: sign is 1 for the upper, -1 for the lower one."""
    name = "position_upper" if sign > 0 else "position_lower"
    limit: float = getattr(limits, name)[joint]
    needed = braking_margin(
        curve.c[joint], curve.k[joint], limits.velocity[joint], limits.acceleration[joint]
    )
    if sign * (curve.q[joint] - limit) < needed:
        yield Finding(
            f"operating_limits.{name}[{joint}]",
            f"expected {'at most' if sign > 0 else 'at least'} "
            f"{curve.q[joint] - sign * needed:.4f} rad, got {limit:.4f} rad",
            "nearer to the end, braking would cross the robot's position-dependent speed limit; "
            "leave more room, or lower velocity or acceleration",
        )


def compliance_fits_the_interfaces(
    command_interface: str,
    effort_unit: str,
    wrench: Wrench | None,
    compliance: Impedance | Admittance | Rigid,
) -> Iterator[Finding]:
    """Springs need torque commands; yielding by position needs a real wrench."""
    if isinstance(compliance, Impedance) and command_interface != "effort":
        yield Finding(
            "compliance.kind",
            f"expected admittance or rigid on a {command_interface} interface, got impedance",
            "impedance writes joint torques: it needs command_interface: effort",
        )
    if isinstance(compliance, Admittance | Rigid) and command_interface != "position":
        yield Finding(
            "compliance.kind",
            f"expected impedance on an {command_interface} interface, got {compliance.kind}",
            f"{compliance.kind} writes joint positions: it needs command_interface: position",
        )
    if isinstance(compliance, Admittance) and wrench is None:
        current = "; motor current in ampere cannot replace it" if effort_unit == "ampere" else ""
        yield Finding(
            "compliance.kind",
            "expected a wrist wrench for admittance, got wrench: none",
            f"name the arm's force-torque sensor under `wrench`, or take kind: rigid{current}",
        )


def compliance_torque_is_inside_hardware(
    compliance: Impedance | Admittance | Rigid, hardware_limits: HardwareLimits
) -> Iterator[Finding]:
    """The spring never asks for more than the joints can give."""
    if not isinstance(compliance, Impedance):
        return
    for name, unit in (("torque", "Nm"), ("torque_rate", "Nm/s")):
        bounds: PerJoint | None = getattr(hardware_limits, name)
        values: PerJoint = getattr(compliance, name)
        for joint, (bound, value) in enumerate(zip(bounds or values, values, strict=True)):
            if value > bound:
                yield Finding(
                    f"compliance.{name}[{joint}]",
                    f"expected at most {bound:g} {unit}, the hardware limit, got {value:g} {unit}",
                )


def postures_are_reachable(
    joints: tuple[str, ...], operating_limits: OperatingLimits, postures: tuple[Posture, ...]
) -> Iterator[Finding]:
    """move_to may go to every posture without leaving the operating limits."""
    names = [posture.name for posture in postures]
    yield from repeated(names, "postures[{}].name", "posture name")
    if "home" not in names:
        message = f"expected a posture named 'home', got {', '.join(names)}"
        yield Finding("postures", message, "recovery and episode resets go there")
    for index, posture in enumerate(postures):
        for joint, position in enumerate(posture.joints):
            lower = operating_limits.position_lower[joint]
            upper = operating_limits.position_upper[joint]
            if lower <= upper and not lower <= position <= upper:
                yield Finding(
                    f"postures[{index}].joints[{joint}]",
                    f"expected {lower:g} to {upper:g} rad, the operating range of "
                    f"{joints[joint]}, got {position:g} rad",
                )


def range_is_ordered(range: tuple[float, float]) -> Iterator[Finding]:  # noqa: A002
    """Which end is open is said by the polarity, never by the order."""
    if range[0] >= range[1]:
        message = f"expected the smaller value first, got {range[0]:g} and {range[1]:g}"
        yield Finding("range", message, "say which end is open with `polarity`")


ARM_CHECKS: Checks = {
    Arm: (
        joints_are_the_drivers,
        driver_fits_the_arm,
        operating_is_inside_hardware,
        braking_is_inside_hardware,
        compliance_fits_the_interfaces,
        compliance_torque_is_inside_hardware,
        postures_are_reachable,
    ),
    HardwareLimits: (positions_are_ordered,),
    OperatingLimits: (positions_are_ordered,),
    FrankaHand: (range_is_ordered,),
    Robotiq2F85: (range_is_ordered,),
}
