"""Numbers with a unit as text: "30 Hz", "80 mm", "-157.2 deg". A bare number is in SI units."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from labvla_policy.runtime.cell.problems import did_you_mean, quoted

_DEGREE = math.pi / 180.0
_QUANTITY = re.compile(
    r"(?P<number>[+-]?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)\s*(?P<unit>\S.*)?"
)
# Enough for any sensor, few enough that 25 ms and 0.025 s are the same number and hash alike.
_SIGNIFICANT_DIGITS = 12


@dataclass(frozen=True, eq=False)
class Dimension:
    """A physical dimension and the units it may be written in; the first one is SI."""

    name: str
    units: Mapping[str, float]

    @property
    def si_unit(self) -> str:
        """The unit of a bare number."""
        return next(iter(self.units))

    def __str__(self) -> str:
        article = "an" if self.name[0] in "aeiou" else "a"
        spelled = [unit for unit in self.units if unit]
        return f"{article} {self.name}" + (f" ({', '.join(spelled)})" if spelled else "")


RATIO = Dimension("ratio", {"": 1.0, "%": 0.01})
PIXELS = Dimension("number of pixels", {"px": 1.0})
LENGTH = Dimension("length", {"m": 1.0, "cm": 1e-2, "mm": 1e-3, "um": 1e-6})
ANGLE = Dimension("angle", {"rad": 1.0, "mrad": 1e-3, "deg": _DEGREE})
TIME = Dimension("time", {"s": 1.0, "ms": 1e-3, "us": 1e-6})
FREQUENCY = Dimension("frequency", {"Hz": 1.0, "kHz": 1e3})
SPEED = Dimension("speed", {"m/s": 1.0, "mm/s": 1e-3})
ANGULAR_SPEED = Dimension("angular speed", {"rad/s": 1.0, "deg/s": _DEGREE})
ANGULAR_ACCELERATION = Dimension("angular acceleration", {"rad/s²": 1.0, "deg/s²": _DEGREE})
ANGULAR_JERK = Dimension("angular jerk", {"rad/s³": 1.0, "deg/s³": _DEGREE})
MASS = Dimension("mass", {"kg": 1.0, "g": 1e-3})
INERTIA = Dimension("moment of inertia", {"kgm²": 1.0})
FORCE = Dimension("force", {"N": 1.0})
TORQUE = Dimension("torque", {"Nm": 1.0, "mNm": 1e-3})
TORQUE_RATE = Dimension("torque rate", {"Nm/s": 1.0})
STIFFNESS = Dimension("stiffness", {"N/m": 1.0, "N/mm": 1e3})
ANGULAR_STIFFNESS = Dimension("angular stiffness", {"Nm/rad": 1.0, "Nm/deg": 1.0 / _DEGREE})

DIMENSIONS = (
    RATIO,
    PIXELS,
    LENGTH,
    ANGLE,
    TIME,
    FREQUENCY,
    SPEED,
    ANGULAR_SPEED,
    ANGULAR_ACCELERATION,
    ANGULAR_JERK,
    MASS,
    INERTIA,
    FORCE,
    TORQUE,
    TORQUE_RATE,
    STIFFNESS,
    ANGULAR_STIFFNESS,
)


class QuantityError(ValueError):
    """Text that is no quantity of the expected dimension; `hint` says how to repair it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def parse_quantity(text: str, dimension: Dimension) -> float:
    """Return the SI value of `text`, or raise QuantityError naming the expected dimension."""
    match = _QUANTITY.fullmatch(text.strip())
    if match is None:
        raise QuantityError(f"expected {dimension}, got {quoted(text)}, which is no number")
    factor = _factor(text, match["unit"], dimension)
    value = float(f"{float(match['number']) * factor:.{_SIGNIFICANT_DIGITS}g}")
    if not math.isfinite(value):
        raise QuantityError(f"expected {dimension}, got {quoted(text)}, which is not finite")
    return value + 0.0  # turns -0.0 into 0.0: one number, one hash


def _factor(text: str, unit: str | None, dimension: Dimension) -> float:
    if unit is None:
        return 1.0
    spelling = _canonical_spelling(unit)
    if spelling in dimension.units:
        return dimension.units[spelling]
    meant = next((d for d in DIMENSIONS if spelling in d.units), None)
    if meant is not None:
        article = str(meant).partition(" (")[0]
        raise QuantityError(f"expected {dimension}, got {quoted(text)}, which is {article}")
    raise QuantityError(
        f"expected {dimension}, got {quoted(text)} with the unknown unit {quoted(unit)}",
        did_you_mean(spelling, [unit for unit in dimension.units if unit]),
    )


def _canonical_spelling(unit: str) -> str:
    """Accept rad/s^2 for rad/s², and N m, N*m or N·m for Nm."""
    spelling = re.sub(r"(?<=[Ng])\s*[*·\s]\s*(?=m)", "", unit.strip())
    return spelling.replace("^", "").replace("2", "²").replace("3", "³")
