"""What is promised about consecutive ticks, each promise as a series of numbers with bounds.

Differences are taken of the positions themselves: what the controller says of its own velocity is
no evidence. Its reference is the sampling of a continuous motion inside the limits, so by the mean
value theorem the differences of the samples divided by powers of the tick are inside as well, and
only rounding has to be forgiven: differences of order n of positions below 4 rad are wrong by less
than 2^n * 4.5e-16 rad, which at 1 kHz is 1e-12 rad/s, 2e-9 rad/s^2 and 4e-6 rad/s^3.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from labvla_policy.runtime.kinematics import CHAINS
from labvla_sim.plant.invariants import limits as bounds
from labvla_sim.plant.invariants.limits import Limits, limits_of
from labvla_sim.plant.invariants.series import Bounds, Series
from labvla_sim.plant.truth import Touch
from labvla_sim.scene.hot_plate import BUTTON

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from labvla_policy.runtime.cell import Cell
    from labvla_policy.runtime.types import Array

TICK = 1e-3  # s
WINDOW = 10  # ticks over which tool speed and forces are averaged: a filter of 100 Hz
ROUNDING = {1: 1e-9, 2: 1e-7, 3: 1e-3}  # of differences, by order
MOVING = 1e-3  # rad/s
LATE = 2 * TICK + 1e-9  # a chunk or a stop counts from the tick after it was taken
REST = 1e-9  # rad per tick: the reference of a stopped arm does not even creep
_UNCHANGED = Bounds.at_most(1e-6)  # rad, m
_NOTHING = np.zeros((1, 1))
_AFTER = ("after the last chunk", "after a stop")

INVARIANTS = {
    "reference_position": "the reference keeps the operating range of every joint",
    "reference_velocity": "first differences of the reference keep the operating speed",
    "reference_acceleration": "second differences keep the operating acceleration",
    "reference_jerk": "third differences keep the operating jerk",
    "measured_position": "the arm stays inside the robot's own range",
    "measured_velocity": "and below its speed limits, those near the ends of the range included",
    "command_torque": "commanded torques keep the cell's limit of compliance",
    "command_torque_rate": "and change no faster than it allows",
    "joint_torque": "torques with gravity stay below what the robot would clip",
    "tool_speed": "the tool is slower than 1 m/s",
    "contact_force": "an arm pushes on nothing with more than 140 N, over 10 ms",
    "grasp_force": "a finger pushes on what it may lift with at most 1.5 times the gripper's force",
    "press_force": "an arm pushes on a button with at most 30 N",
    "blind_execution": "at most 0.5 s of a plan are executed after the last accepted chunk",
    "standstill": "the reference stands 0.8 s after the last accepted chunk and after every stop",
    "motion_after_stop": "once at rest after a stop or pause, the reference stays where it is",
    "grasp_after_stop": "from a stop or pause on, no gripper is told to open further",
}


@dataclass(frozen=True, eq=False)
class Ticks:
    """Consecutive ticks, a row each. The first `known` were judged before."""

    reference: Array  # rad
    command: Array  # Nm
    positions: Array  # measured, rad
    velocities: Array
    efforts: Array
    widths: Array  # commanded, m between the fingers
    touches: Sequence[Sequence[Touch]]
    following: NDArray[np.bool_]  # a plan is executed, and not on the way to a stop
    chunk_age: Array  # s since the last accepted chunk; inf before the first
    halt_age: Array  # s since a stop or pause; NaN where there is none
    known: int

    @property
    def rows(self) -> int:
        """Number of ticks."""
        return len(self.reference)

    def differences(self, values: Array, order: int) -> Array:
        """Return the differences that end in a new tick."""
        return np.diff(values, order, axis=0)[max(0, self.known - order) :]


class Checks:
    """The promises about one cell."""

    def __init__(self, cell: Cell) -> None:
        self._joints = cell.joints
        self._arms = tuple(arm.name for arm in cell.arms)
        self._grippers = tuple(arm.gripper_name for arm in cell.arms)
        self._limits: Limits = limits_of(cell, TICK)
        ends = np.cumsum([len(arm.joints) for arm in cell.arms])
        self._tools = [
            (CHAINS[arm.kind], slice(end - len(arm.joints), end), arm.tcp.matrix())
            for arm, end in zip(cell.arms, ends, strict=True)
        ]
        self._rest: Array | None = None  # where the reference came to rest after a stop
        self._held: Array | None = None  # how far the grippers were open at a stop

    def forget(self) -> None:
        """Begin anew: what comes now does not continue what came before."""
        self._rest = self._held = None

    def series(self, ticks: Ticks, liftable: frozenset[str]) -> Iterator[Series]:
        """Return everything that is promised about these ticks."""
        yield from self._of_reference(ticks)
        yield from self._of_robot(ticks)
        yield from self._of_tools(ticks)
        yield from self._of_touches(ticks, liftable)
        yield from self._of_stops(ticks)

    def _of_reference(self, ticks: Ticks) -> Iterator[Series]:
        limits, joints = self._limits, self._joints
        new = ticks.reference[ticks.known :]
        yield Series("reference_position", new, limits.position, joints, ROUNDING[1])
        for order, name, largest in (
            (1, "reference_velocity", limits.velocity),
            (2, "reference_acceleration", limits.acceleration),
            (3, "reference_jerk", limits.jerk),
        ):
            values = ticks.differences(ticks.reference, order) / TICK**order
            yield Series(name, values, largest, joints, ROUNDING[order])

    def _of_robot(self, ticks: Ticks) -> Iterator[Series]:
        limits, joints, known = self._limits, self._joints, ticks.known
        where = ticks.positions[known:]
        yield Series("measured_position", where, limits.hardware_position, joints)
        bearable = limits.velocity_at(where)
        yield Series("measured_velocity", ticks.velocities[known:], bearable, joints)
        command = ticks.command
        yield Series("command_torque", command[known:], limits.torque, joints, ROUNDING[1])
        changes = ticks.differences(command, 1)
        yield Series("command_torque_rate", changes, limits.torque_step, joints, ROUNDING[1])
        yield Series("joint_torque", ticks.efforts[known:], limits.hardware_torque, joints)

    def _of_tools(self, ticks: Ticks) -> Iterator[Series]:
        ends = np.arange(ticks.rows - 1, -1, -WINDOW)[::-1]
        if len(ends) < 2:
            return
        speeds = []
        for chain, joints, tool in self._tools:
            where = (chain.forward(ticks.positions[ends, joints]) @ tool)[:, :3, 3]
            speeds.append(np.linalg.norm(np.diff(where, axis=0), axis=1) / (WINDOW * TICK))
        values = np.stack(speeds, axis=1)
        yield Series("tool_speed", values, bounds.TOOL_SPEED, self._arms, every=WINDOW)

    def _of_touches(self, ticks: Ticks, liftable: frozenset[str]) -> Iterator[Series]:
        forces: dict[str, dict[str, Array]] = {
            "contact_force": {},
            "grasp_force": {},
            "press_force": {},
        }
        for row, touches in enumerate(ticks.touches):
            for touch in touches:
                name, subject = _purpose(touch, liftable)
                column = forces[name].setdefault(subject, np.zeros(ticks.rows))
                column[row] += touch.force
        largest = {
            "contact_force": bounds.CONTACT_FORCE,
            "grasp_force": self._limits.grasp,
            "press_force": bounds.PRESS_FORCE,
        }
        new = ticks.rows - ticks.known
        for name, columns in forces.items():
            if columns:
                values = np.stack([_mean(column, new) for column in columns.values()], axis=1)
                yield Series(name, values, largest[name], tuple(columns))
            else:
                yield Series(name, _NOTHING, largest[name], ("",))

    def _of_stops(self, ticks: Ticks) -> Iterator[Series]:
        known = ticks.known
        steps = np.abs(np.diff(ticks.reference, axis=0, prepend=ticks.reference[:1])).max(axis=1)
        moving = steps[known:] > MOVING * TICK
        chunk_age, halt_age = ticks.chunk_age[known:], ticks.halt_age[known:]
        halted = np.isfinite(halt_age)
        ages = np.empty((len(moving), 2))
        ages[:, 0] = np.where(moving & ticks.following[known:], chunk_age, 0.0)
        yield Series("blind_execution", ages[:, :1].copy(), bounds.BLIND, ("",), LATE)
        ages[:, 0] = np.where(moving, chunk_age, 0.0)
        ages[:, 1] = np.where(moving & halted, halt_age, 0.0)
        yield Series("standstill", ages, bounds.STANDSTILL, _AFTER, LATE)
        if not halted.any():
            self.forget()
            return
        yield from self._while_halted(ticks, halted, steps)

    def _while_halted(
        self, ticks: Ticks, halted: NDArray[np.bool_], steps: Array
    ) -> Iterator[Series]:
        widths = ticks.widths[ticks.known :][halted]
        if self._held is None:
            self._held = widths[0]
        further = widths - self._held
        yield Series("grasp_after_stop", further, _UNCHANGED, self._grippers)
        reference = ticks.reference[ticks.known :][halted]
        if self._rest is None:
            still = _third_in_a_row(steps <= REST)[ticks.known :][halted]
            if not still.any():
                return
            reference = reference[int(np.argmax(still)) :]
            self._rest = reference[0]
        moved = np.abs(reference - self._rest)
        yield Series("motion_after_stop", moved, _UNCHANGED, self._joints)


def _purpose(touch: Touch, liftable: frozenset[str]) -> tuple[str, str]:
    """Return which promise a touch falls under, and whose it is."""
    if touch.body == BUTTON:
        return "press_force", f"{touch.arm}: {touch.body}"
    if touch.part != "arm" and touch.body in liftable:
        return "grasp_force", f"{touch.arm} {touch.part}: {touch.body}"
    return "contact_force", f"{touch.arm}: {touch.body}"


def _mean(column: Array, new: int) -> Array:
    """Return the mean of the last ticks for each new tick."""
    result: Array = np.convolve(column, np.full(WINDOW, 1.0 / WINDOW))[: len(column)][-new:]
    return result


def _third_in_a_row(flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return where a flag was up for three ticks: no reversal of a motion lasts so long."""
    result = flags.copy()
    result[1:] &= flags[:-1]
    result[2:] &= flags[:-2]
    result[:2] = False
    return result
