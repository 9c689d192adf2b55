"""Trajectories for controllers that do not eat chunks begin where they are and end at rest."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labvla_policy.runtime.adapters.trajectory import (
    Reference,
    Shaping,
    TrajectoryRefused,
    hermite,
    trajectory_from_plan,
)
from labvla_policy.runtime.types import Prediction

NS = 1_000_000_000
NOW = 1_700_000_000 * NS
NAMES = ("a", "b", "c")


def plan_of(rows, start=NOW, dt=1 / 30, names=NAMES):
    rows = np.asarray(rows, dtype=float)
    return Prediction(start, dt, names, rows, (), np.empty((len(rows), 0)))


def ramp(rows=16, speed=(0.3, -0.2, 0.1), dt=1 / 30):
    return np.arange(rows)[:, None] * dt * np.array(speed)


def still(at=(0.0, 0.0, 0.0), velocity=(0.0, 0.0, 0.0), stamp=NOW, names=NAMES):
    return Reference(stamp, names, np.array(at, dtype=float), np.array(velocity, dtype=float))


SHAPING = Shaping()


def test_rows_that_are_past_are_skipped_never_squeezed():
    rows = ramp(40)
    late = plan_of(rows, start=NOW - 200_000_000)
    made = trajectory_from_plan(late, still(at=rows[6]), NOW, SHAPING)
    times = made.start / NS + made.times[:-1] - late.plan_start / NS
    # Behind the blend and before the brake, rows are where and when they were planned.
    kept = (made.times[:-1] > SHAPING.blend) & (times < 1.0)
    assert kept.sum() > 10
    row = np.round(times[kept] * 30).astype(int)
    assert times[kept] == pytest.approx(row / 30)
    assert made.positions[:-1][kept] == pytest.approx(rows[row])
    assert np.all(made.times >= 0.0)


def test_begins_at_the_reference_with_its_velocity():
    reference = still(at=(0.02, -0.01, 0.0), velocity=(0.2, 0.0, -0.1), stamp=NOW - 10_000_000)
    made = trajectory_from_plan(plan_of(ramp()), reference, NOW, SHAPING)
    assert made.start == NOW + round(SHAPING.lead * NS)
    assert made.times[0] == 0.0
    assert made.positions[0] == pytest.approx(reference.positions + 0.040 * reference.velocities)
    assert made.velocities[0] == pytest.approx(reference.velocities)


def test_comes_to_rest_on_the_last_row_without_overshoot_and_stays():
    made = trajectory_from_plan(plan_of(ramp()), still(), NOW, SHAPING)
    assert made.positions[-2] == pytest.approx(ramp()[-1])
    assert made.positions[-1] == pytest.approx(ramp()[-1])
    assert not np.any(made.velocities[-2:])
    assert made.times[-1] - made.times[-2] == pytest.approx(SHAPING.hold)
    moments = np.linspace(0.0, made.times[-1], 2000)
    path = np.array([hermite(made.times, made.positions, made.velocities, t)[0] for t in moments])
    assert path[:, 0].max() <= ramp()[-1, 0] + 1e-4
    step = moments[1] - moments[0]
    braking = np.diff(path[:, 0], 2) / step**2
    # The last rows of an even ramp are left with the deceleration that was asked for.
    assert braking[moments[1:-1] > SHAPING.blend].min() >= -1.3 * SHAPING.stop_acceleration


def test_order_is_the_controllers():
    rows = ramp()
    shuffled = plan_of(rows[:, [2, 0, 1]], names=("c", "a", "b"))
    made = trajectory_from_plan(shuffled, still(), NOW, SHAPING)
    straight = trajectory_from_plan(plan_of(rows), still(), NOW, SHAPING)
    assert made.joint_names == NAMES
    assert np.array_equal(made.positions, straight.positions)


def test_a_plan_that_has_not_begun_is_waited_for():
    early = plan_of(ramp() + 0.01, start=NOW + 200_000_000)
    made = trajectory_from_plan(early, still(), NOW, SHAPING)
    assert made.positions[0] == pytest.approx([0, 0, 0])
    assert made.times[1] == pytest.approx(0.2 - SHAPING.lead)


@pytest.mark.parametrize(
    ("plan", "reference", "reason"),
    [
        (plan_of(ramp(), start=NOW - NS), still(), "ends_in_past"),
        (plan_of(ramp() + 0.3), still(), "first_row_far"),
        (plan_of(ramp()), still(stamp=NOW - NS), "reference_stale"),
        (plan_of(ramp()), still(at=(np.nan, 0, 0)), "reference_not_finite"),
        (plan_of(np.where(ramp() > 0.1, np.nan, ramp())), still(), "target_not_finite"),
        (plan_of(ramp()[:1]), still(), "target_shape"),
        (plan_of(ramp()[:, :2]), still(), "target_shape"),
        (plan_of(ramp(), dt=0.0), still(), "row_time"),
        (plan_of(ramp()[:, :2], names=("a", "b")), still(), "target_names"),
        (plan_of(ramp(), names=("a", "b", "x")), still(), "target_names"),
        (plan_of(ramp(), names=("a", "a", "b")), still(), "target_names"),
        (plan_of(ramp()), still((0, 0), (0, 0), names=("a", "b")), "target_names"),
    ],
)
def test_what_cannot_be_followed_is_refused_by_name(plan, reference, reason):
    with pytest.raises(TrajectoryRefused) as refused:
        trajectory_from_plan(plan, reference, NOW, SHAPING)
    assert refused.value.reason == reason


def test_the_offending_joint_is_named():
    with pytest.raises(TrajectoryRefused) as refused:
        trajectory_from_plan(plan_of(ramp() + np.array([0.0, 0.4, 0.0])), still(), NOW, SHAPING)
    assert refused.value.joint == "b"


numbers = st.floats(-0.05, 0.05)


@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(4, 50),
    late=st.floats(0.0, 0.09),
    offset=st.tuples(numbers, numbers, numbers),
    velocity=st.tuples(numbers, numbers, numbers),
    lead=st.sampled_from([0.0, 0.02, 0.05]),
)
def test_every_trajectory_is_one_that_a_controller_accepts(
    seed, rows, late, offset, velocity, lead
):
    rng = np.random.default_rng(seed)
    rough = 0.01 * rng.standard_normal((rows, 3)) + ramp(rows)
    plan = plan_of(rough, start=NOW - round(late * (rows - 1) / 4 * NS / 30))
    reference = still(rough[0] + np.array(offset), velocity)
    made = trajectory_from_plan(plan, reference, NOW, replace(SHAPING, lead=lead))
    assert np.all(np.diff(made.times) > 0.0)
    assert made.times[0] == 0.0
    assert made.start >= NOW
    assert np.all(np.isfinite(made.positions))
    assert np.all(np.isfinite(made.velocities))
    assert not np.any(made.velocities[-1])
    # Behind the blend the rows are reached exactly as they were planned.
    assert made.positions[-1] == pytest.approx(rough[-1])


def test_samples_are_continuous_and_held_at_both_ends():
    made = trajectory_from_plan(plan_of(ramp()), still(velocity=(0.1, 0, 0)), NOW, SHAPING)
    before, at_rest = made.at(made.start - NS)
    assert np.array_equal(before, made.positions[0])
    assert not np.any(at_rest)
    assert np.array_equal(made.at(made.end + NS)[0], made.positions[-1])
    times = made.start + np.arange(0, 1_000_000_000, 1_000_000)
    path = np.array([made.at(int(t))[0] for t in times])
    assert np.abs(np.diff(path, axis=0)).max() < 0.5e-3
