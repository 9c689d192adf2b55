"""A gripper's three scales: the driver's joint, metres between the fingers, the policy's column.

Everything in between the edges of the stack is in metres between the fingers ("opening").
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from labvla_policy.runtime.cell.arm import Gripper
from labvla_policy.runtime.refusal import Refusal, Refused
from labvla_policy.runtime.types import Array

# Calibration and the fingers' give put good values slightly outside of the range. A wrong unit or
# polarity puts them far outside: an opening of 1 (fraction) read as a width is twelve strokes.
STATE_TOLERANCE = 0.1  # of the range
TARGET_TOLERANCE = 0.25  # of the stroke: policies overshoot more than encoders

# Each unit as (metres -> column, column -> metres) for a given stroke.
_UNITS: dict[str, tuple[Callable[[Array, float], Array], Callable[[Array, float], Array]]] = {
    "finger_width": (lambda m, _: m / 2, lambda v, _: v * 2),
    "total_width": (lambda m, _: m, lambda v, _: v),
    "open_fraction": (lambda m, stroke: m / stroke, lambda v, stroke: v * stroke),
    "closed_fraction": (lambda m, stroke: 1 - m / stroke, lambda v, stroke: (1 - v) * stroke),
}


def opening_of_joint(gripper: Gripper, joint: float, subject: str) -> float:
    """Return the opening (m) that the driver's joint value stands for."""
    fraction = (joint - gripper.closed) / (gripper.open - gripper.closed)
    if not -STATE_TOLERANCE <= fraction <= 1 + STATE_TOLERANCE:
        low, high = gripper.range
        raise Refused(
            Refusal(
                "gripper_state_range",
                f"expected {gripper.joint} within {low:g} to {high:g}, got {joint:g}: check the "
                "cell's `range`, `polarity` and `joint`",
                subject,
                value=joint,
                limit=high if joint > high else low,
            )
        )
    return float(np.clip(fraction, 0.0, 1.0)) * gripper.stroke


def joint_of_opening(gripper: Gripper, opening: float) -> float:
    """Return the driver's joint value that stands for an opening (m), clipped to its range."""
    fraction = float(np.clip(opening / gripper.stroke, 0.0, 1.0))
    return gripper.closed + (gripper.open - gripper.closed) * fraction


def column_of_opening(gripper: Gripper, opening: Array | float) -> Array:
    """Return the policy's column for one opening (m) or many."""
    to_column, _ = _UNITS[gripper.policy_unit]
    return to_column(np.asarray(opening, dtype=np.float64), gripper.stroke)


def openings_of_column(gripper: Gripper, column: Array, subject: str) -> Array:
    """Return the openings (m) that a policy's column asks for, clipped to what the fingers can."""
    _, to_metres = _UNITS[gripper.policy_unit]
    openings = to_metres(np.asarray(column, dtype=np.float64), gripper.stroke)
    excess = np.maximum(openings - gripper.stroke, -openings)
    worst = int(np.argmax(excess))
    if excess[worst] > TARGET_TOLERANCE * gripper.stroke:
        raise Refused(
            Refusal(
                "gripper_range",
                f"expected {gripper.policy_unit} for {gripper.stroke:g} m between the fingers, got "
                f"{column[worst]:g}: the policy's gripper unit or statistics are other ones",
                subject,
                value=float(openings[worst]),
                limit=gripper.stroke,
                row=worst,
            )
        )
    return np.clip(openings, 0.0, gripper.stroke)
