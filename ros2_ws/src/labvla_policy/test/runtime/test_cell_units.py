"""Quantities as text."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labvla_policy.runtime.cell.units import (
    ANGLE,
    ANGULAR_ACCELERATION,
    ANGULAR_JERK,
    DIMENSIONS,
    LENGTH,
    RATIO,
    TIME,
    TORQUE,
    Dimension,
    QuantityError,
    parse_quantity,
)


@pytest.mark.parametrize(
    ("text", "dimension", "value"),
    [
        ("25 ms", TIME, 0.025),
        ("25ms", TIME, 0.025),
        (" 0.025 ", TIME, 0.025),
        ("80 mm", LENGTH, 0.08),
        ("-157.2 deg", ANGLE, math.radians(-157.2)),
        ("+.5 rad", ANGLE, 0.5),
        ("2.5 rad/s^2", ANGULAR_ACCELERATION, 2.5),
        ("2.5 rad/s²", ANGULAR_ACCELERATION, 2.5),
        ("1e2 rad/s3", ANGULAR_JERK, 100.0),
        ("12 N m", TORQUE, 12.0),
        ("12 N·m", TORQUE, 12.0),
        ("12 N*m", TORQUE, 12.0),
        ("50 %", RATIO, 0.5),
        ("-0", RATIO, 0.0),
    ],
)
def test_numbers_with_units(text: str, dimension: Dimension, value: float) -> None:
    assert parse_quantity(text, dimension) == pytest.approx(value, rel=1e-11)
    assert math.copysign(1, parse_quantity("-0", dimension)) == 1


@pytest.mark.parametrize(
    "text", ["", "fast", "0x10", "010", "1_000", "1:30", "nan", ".inf", "1e999", "5 mm mm", "5 %%"]
)
def test_what_is_no_length(text: str) -> None:
    with pytest.raises(QuantityError, match=r"expected a length \(m, cm, mm, um\), got"):
        parse_quantity(text, LENGTH)


def test_every_unit_belongs_to_one_dimension() -> None:
    units = [unit for dimension in DIMENSIONS for unit in dimension.units]
    assert len(units) == len(set(units))


@given(st.text(), st.sampled_from(DIMENSIONS))
def test_any_text_is_a_finite_number_or_refused(text: str, dimension: Dimension) -> None:
    try:
        value = parse_quantity(text, dimension)
    except QuantityError as error:
        message = str(error)
    else:
        assert math.isfinite(value)
        return
    assert message.startswith(f"expected {dimension}, got ")
