"""The gate's rules about numbers: names, shapes, telltale faults, limits. Each is a pure function.

A rule returns a refusal, or None if it has nothing against the plan. Rules are applied in order, so
a later one may rely on what an earlier one has established.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from labvla_policy.runtime.cell import Cell
from labvla_policy.runtime.refusal import Refusal
from labvla_policy.runtime.types import NANOSECONDS, Array, Prediction


@dataclass(frozen=True)
class RuleSettings:
    """Bounds that belong to the gate, beside the operating limits that belong to the cell."""

    most_rows: int = 1000  # more is no chunk
    longest_row: float = 1.0  # s between rows
    row_time_tolerance: float = 0.01  # of the contract's row time
    furthest: int = (
        NANOSECONDS  # ns until the first row; a plan for later was made by another clock
    )
    hold_tolerance: float = 0.05  # rad; a constant plan this near to the arm holds it
    jump: float = 0.15  # rad; as far as compliance lets measured and commanded differ
    position_tolerance: float = 0.01  # rad; the controller's own clamp is for grazing a limit
    speed_tolerance: float = 0.05  # of the limit; rows are rounded, the controller limits exactly
    slowest: float = 0.4  # of full speed; a plan that needs less is no plan for this arm
    acceleration_span: float = 0.1  # s; see acceleration


@dataclass(frozen=True, eq=False)
class Situation:
    """What a plan is judged against: the moment it would take over."""

    t: int  # ns
    positions: Array  # rad, the controller's reference, in the order of cell.joints
    velocities: Array  # rad/s, of the reference
    row_time: float | None = None  # s, where a contract says how far apart rows are
    previous: Prediction | None = None  # the answer before this one, accepted or not
    returning: bool = False  # begins beyond a bound and may come back (only move_to may)


@dataclass(frozen=True, eq=False)
class Limits:
    """The cell's operating limits of all joints, as arrays."""

    names: tuple[str, ...]
    lower: Array
    upper: Array
    velocity: Array
    acceleration: Array
    jerk: Array = field(repr=False)

    @classmethod
    def of_cell(cls, cell: Cell) -> Limits:
        """Collect the limits in the order of cell.joints."""

        def joined(key: str) -> Array:
            return np.concatenate([getattr(arm.operating_limits, key) for arm in cell.arms])

        return cls(
            cell.joints,
            joined("position_lower"),
            joined("position_upper"),
            joined("velocity"),
            joined("acceleration"),
            joined("jerk"),
        )


def names(plan: Prediction, cell: Cell) -> Refusal | None:
    """Every joint of the cell exactly once; grippers of the cell at most once."""
    if sorted(plan.joint_names) != sorted(cell.joints):
        wrong = set(plan.joint_names) ^ set(cell.joints) or _repeated(plan.joint_names)
        return Refusal(
            "target_names",
            f"expected every joint of the cell once, got {', '.join(plan.joint_names) or 'none'}",
            min(wrong),
        )
    grippers = {arm.gripper_name for arm in cell.arms}
    wrong = (set(plan.gripper_names) - grippers) | _repeated(plan.gripper_names)
    if wrong:
        return Refusal(
            "target_names",
            f"expected grippers out of {', '.join(sorted(grippers))}, each once, got "
            f"{', '.join(plan.gripper_names)}",
            min(wrong),
        )
    return None


def shape(plan: Prediction, settings: RuleSettings) -> Refusal | None:
    """As many columns as names, and a sensible number of rows."""
    for targets, columns in (
        (plan.joint_targets, plan.joint_names),
        (plan.gripper_targets, plan.gripper_names),
    ):
        rows = plan.rows
        if np.shape(targets) != (rows, len(columns)) or not 0 < rows <= settings.most_rows:
            return Refusal(
                "target_shape",
                f"expected 1 to {settings.most_rows} rows of {len(columns)} targets, got "
                f"{np.shape(targets)}",
            )
    return None


def row_time(plan: Prediction, now: Situation, settings: RuleSettings) -> Refusal | None:
    """Rows as far apart in time as the contract says: else the same motion at another speed."""
    expected = plan.dt if now.row_time is None else now.row_time
    if not 0 < plan.dt <= settings.longest_row:
        return Refusal(
            "row_time",
            f"expected above 0 and at most {settings.longest_row:g} s between rows, got {plan.dt}",
            value=plan.dt,
            limit=settings.longest_row,
        )
    if not abs(plan.dt - expected) <= settings.row_time_tolerance * expected:
        return Refusal(
            "row_time",
            f"expected {expected:.6g} s between rows, got {plan.dt:.6g}",
            value=plan.dt,
            limit=expected,
        )
    return None


def finite(plan: Prediction) -> Refusal | None:
    """Only numbers."""
    for targets, columns in (
        (plan.joint_targets, plan.joint_names),
        (plan.gripper_targets, plan.gripper_names),
    ):
        bad = np.argwhere(~np.isfinite(targets))
        if len(bad):
            row, column = (int(i) for i in bad[0])
            return Refusal(
                "target_not_finite",
                f"row {row} holds {targets[row, column]}",
                columns[column],
                row=row,
            )
    return None


def beginning(plan: Prediction, now: Situation, settings: RuleSettings) -> Refusal | None:
    """Some of the plan is still ahead, and it begins soon."""
    if now.t > plan.end:
        return Refusal(
            "no_rows_left",
            f"the last of {plan.rows} rows was {(now.t - plan.end) / NANOSECONDS:.3f} s ago",
            value=(now.t - plan.end) / NANOSECONDS,
            limit=0.0,
        )
    wait = plan.plan_start - now.t
    if wait > settings.furthest:
        return Refusal(
            "plan_ahead",
            f"row 0 is for {wait / NANOSECONDS:.3f} s from now, expected at most "
            f"{settings.furthest / NANOSECONDS:g} s: compare the clocks",
            value=wait / NANOSECONDS,
            limit=settings.furthest / NANOSECONDS,
        )
    return None


def telltale(q: Array, plan: Prediction, now: Situation, settings: RuleSettings) -> Refusal | None:
    """Answers that are well-formed and yet nobody's intention.

    A constant plan at the arm's own posture is a hold, and zeros where the arm is at zero are that
    too. Anywhere else they are what broken servers send.
    """
    away = np.abs(q[0] - now.positions)
    worst = int(np.argmax(away))
    zero = not np.any(q)
    constant = len(q) > 1 and np.ptp(q, axis=0).max() == 0.0  # one row alone is just a target
    if (zero or constant) and away[worst] > settings.hold_tolerance:
        return Refusal(
            "zero_targets" if zero else "constant_targets",
            f"all {len(q)} rows are {'zero' if zero else 'the same'}, and the arm is "
            f"{away[worst]:.3f} rad away from there",
            plan.joint_names[worst],
            float(away[worst]),
            settings.hold_tolerance,
        )
    return None


def repeated(plan: Prediction, now: Situation, settings: RuleSettings) -> Refusal | None:
    """Not the answer before, bit for bit, for another time; a hold may well be the same."""
    before, rows = now.previous, plan.joint_targets
    if (
        before is not None
        and np.ptp(rows, axis=0).max() > settings.hold_tolerance
        and before.plan_start != plan.plan_start
        and before.joint_names == plan.joint_names
        and np.array_equal(before.joint_targets, plan.joint_targets)
    ):
        return Refusal(
            "repeated_prediction",
            f"all {plan.rows} rows are those of the answer before, bit for bit",
        )
    return None


def first_row_jump(
    q: Array, times: Array, now: Situation, limits: Limits, settings: RuleSettings
) -> Refusal | None:
    """The plan begins where the arm can be by then.

    `q` and `times` (s from now) hold the rows that are still ahead.
    """
    away = np.abs(q[0] - now.positions)
    allowed = settings.jump + limits.velocity * times[0]
    excess = away - allowed
    joint = int(np.argmax(excess))
    if excess[joint] <= 0:
        return None
    return Refusal(
        "first_row_jump",
        f"the first row ahead is {away[joint]:.3f} rad from the commanded position, expected at "
        f"most {allowed[joint]:.3f}",
        limits.names[joint],
        float(away[joint]),
        float(allowed[joint]),
        0,
    )


def positions(q: Array, now: Situation, limits: Limits, settings: RuleSettings) -> Refusal | None:
    """Every row inside the operating range."""
    lower = limits.lower - settings.position_tolerance
    upper = limits.upper + settings.position_tolerance
    if now.returning:
        lower, upper = np.minimum(lower, now.positions), np.maximum(upper, now.positions)
    for beyond, limit, sign in ((q - upper, limits.upper, 1.0), (lower - q, limits.lower, -1.0)):
        if np.any(beyond > 0):
            row, joint = (int(i) for i in np.argwhere(beyond > 0)[0])
            return Refusal(
                "position_limit",
                f"row {row} is at {q[row, joint]:.3f} rad, expected at "
                f"{'most' if sign > 0 else 'least'} {limit[joint]:.3f}",
                limits.names[joint],
                float(q[row, joint]),
                float(limit[joint]),
                row,
            )
    return None


@dataclass(frozen=True)
class Pace:
    """How fast a plan may be played, and what decides it."""

    scale: float  # 1: as it is
    decides: Refusal | None  # named as if the plan were refused for it


def pace(q: Array, dt: float, limits: Limits, settings: RuleSettings) -> Pace:
    """Return the largest scale of speed at which the rows obey the operating limits."""
    slowest = Pace(1.0, None)
    velocity = np.abs(np.diff(q, axis=0)) / dt
    ratio = velocity / limits.velocity
    if ratio.size and ratio.max() > 1 + settings.speed_tolerance:
        row, joint = (int(i) for i in np.unravel_index(np.argmax(ratio), ratio.shape))
        slowest = Pace(
            float(1 / ratio[row, joint]),
            Refusal(
                "velocity_limit",
                f"rows {row} and {row + 1} ask for {velocity[row, joint]:.2f} rad/s, expected at "
                f"most {limits.velocity[joint]:.2f}",
                limits.names[joint],
                float(velocity[row, joint]),
                float(limits.velocity[joint]),
                row + 1,
            ),
        )
    asked, span = _accelerations(q, dt, settings)
    ratio = asked / limits.acceleration
    if ratio.size and ratio.max() > 1 + settings.speed_tolerance:
        row, joint = (int(i) for i in np.unravel_index(np.argmax(ratio), ratio.shape))
        scale = float(np.sqrt(1 / ratio[row, joint]))  # time stretched by n: accelerations by 1/n²
        if scale < slowest.scale:
            slowest = Pace(
                scale,
                Refusal(
                    "acceleration_limit",
                    f"rows {row} to {row + 2 * span} ask for {asked[row, joint]:.2f} rad/s², "
                    f"expected at most {limits.acceleration[joint]:.2f}",
                    limits.names[joint],
                    float(asked[row, joint]),
                    float(limits.acceleration[joint]),
                    row + span,
                ),
            )
    return slowest


def _accelerations(q: Array, dt: float, settings: RuleSettings) -> tuple[Array, int]:
    """Return the accelerations that last for a while, and over how many rows they were taken.

    Second differences of neighbouring rows measure a policy's noise: a milliradian at 30 Hz makes
    3.6 rad/s². The controller smooths that away; what it has to follow is what lasts for 0.1 s.
    """
    span = max(1, round(settings.acceleration_span / dt))
    if len(q) < 2 * span + 1:
        return np.empty((0, q.shape[1])), span
    second = q[2 * span :] - 2 * q[span:-span] + q[: -2 * span]
    return np.abs(second) / (span * dt) ** 2, span


def _repeated(given: Sequence[str]) -> set[str]:
    return {name for name in given if given.count(name) > 1}
