"""Activation of a robot that moves: no step to standstill, a stop inside the limits."""

from __future__ import annotations

import cells
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import ROW, limits_of

from labvla_control import Chunk, Controller, Mode

CONFIG = cells.fr3_position()
HOME = cells.FR3_HOME
LIMITS = limits_of(CONFIG)
NAMES = [joint.name for joint in CONFIG.joints]


def positions_after(controller: Controller, cycles: int) -> np.ndarray:
    """References from activation on, with the robot where it was told to be."""
    samples = [controller.state().position]
    for _ in range(cycles):
        samples.append(controller.update(samples[-1], np.zeros(7)).position)
    return np.array(samples)


def taken_over(position: np.ndarray, velocity: np.ndarray) -> Controller:
    controller = Controller(CONFIG)
    controller.activate(position, velocity)
    return controller


def test_the_motion_is_kept_and_then_stopped() -> None:
    velocity = 0.4 * np.array([1.0, -0.5, 0.8, 0.6, -1.0, 0.4, 0.9])
    controller = taken_over(HOME, velocity)
    assert controller.state().mode == Mode.STOPPING
    np.testing.assert_array_equal(controller.state().velocity, velocity)
    samples = positions_after(controller, 800)
    np.testing.assert_allclose((samples[1] - HOME) / CONFIG.period, velocity, rtol=1e-3)
    assert controller.state().mode == Mode.HOLD
    # All joints came to rest together: on a straight line.
    moved = samples - HOME
    unit = velocity / np.linalg.norm(velocity)
    assert np.linalg.norm(moved - np.outer(moved @ unit, unit), axis=1).max() <= 1e-6
    assert np.linalg.norm(moved[-1]) > 0.02


@settings(max_examples=200)
@given(
    share=st.lists(st.floats(0.0, 1.0), min_size=7, max_size=7),
    velocity=st.lists(st.floats(-4.0, 4.0), min_size=7, max_size=7),
)
def test_from_any_state_the_stop_keeps_the_limits(share, velocity) -> None:
    lower, upper, speed, acceleration, jerk = LIMITS.T
    start = lower + np.array(share) * (upper - lower)
    controller = taken_over(start, np.array(velocity))
    initial = controller.state().velocity
    samples = positions_after(controller, 900)
    dt = CONFIG.period
    assert (samples >= lower - 1e-9).all()
    assert (samples <= upper + 1e-9).all()
    # The samples before activation would be those of a steady motion.
    before = start + np.outer([-3, -2, -1], initial) * dt
    whole = np.concatenate([before, samples])
    assert (np.abs(np.diff(whole, axis=0)) / dt <= speed + 1e-9).all()
    assert (np.abs(np.diff(whole, 2, axis=0)) / dt**2 <= acceleration + 1e-7).all()
    assert (np.abs(np.diff(whole, 3, axis=0)) / dt**3 <= jerk + 1e-3).all()
    assert np.ptp(samples[-50:], axis=0).max() <= 1e-9


def test_towards_a_limit_it_begins_as_fast_as_can_still_be_stopped() -> None:
    start = HOME.copy()
    start[0] = LIMITS[0, 1] - 0.05
    controller = taken_over(start, np.array([0.7, *[0.0] * 6]))
    slowed = controller.state().velocity[0]
    assert 0.3 < slowed < 0.7
    reached = positions_after(controller, 900)[:, 0].max()
    assert LIMITS[0, 1] - 0.005 <= reached <= LIMITS[0, 1] + 1e-9


def test_slower_than_standstill_is_rest() -> None:
    controller = taken_over(HOME, np.full(7, 0.9 * CONFIG.standstill_speed))
    assert controller.state().mode == Mode.HOLD
    assert np.ptp(positions_after(controller, 50), axis=0).max() == 0.0


def test_a_chunk_during_the_take_over_is_followed() -> None:
    controller = taken_over(HOME, np.full(7, 0.3))
    positions_after(controller, 50)
    rows = HOME + 0.03 + np.zeros((40, 7))
    assert controller.submit(Chunk(NAMES, rows, ROW, plan_start_ns=50_000_000, sequence=1)).accepted
    end = positions_after(controller, 450)[-1]
    assert controller.state().mode == Mode.TRACKING
    np.testing.assert_allclose(end, rows[0], atol=2e-3)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_velocity_that_is_no_number_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="not finite"):
        taken_over(HOME, np.array([bad, *[0.0] * 6]))
