"""`labvla bench control`: its models are right, its result is complete, our promises hold in it."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from labvla_bringup import cli

ROOT = Path(__file__).resolve().parents[4]
sys.path.append(str(ROOT))

from benchmarks.control import jtc_recordings  # noqa: E402
from benchmarks.control.arm import load_arm  # noqa: E402
from benchmarks.control.arrays import hermite, spline_velocities  # noqa: E402
from benchmarks.control.methods import Outcome, contestants  # noqa: E402
from benchmarks.control.methods.jtc import Message, play  # noqa: E402
from benchmarks.control.metrics import NewestPlan, measure  # noqa: E402
from benchmarks.control.streams import Scenario, make_stream  # noqa: E402
from benchmarks.control.verdicts import dominates  # noqa: E402

ROW_KEYS = {
    "method", "setting", "disagreement", "row_noise", "horizon", "delay", "network", "starved",
    "jerk_peak", "jerk_p99", "acceleration_peak", "boundary_jerk_max", "boundary_jerk_median",
    "boundary_jerk_10ms", "boundary_acceleration_step", "boundary_velocity_step",
    "lag", "rms_shifted", "rms_unshifted", "rms_intended",
    "position_violations", "velocity_violations", "acceleration_violations", "jerk_violations",
    "violations", "stop_time", "stop_distance", "stop_acceleration", "stop_jerk", "accepted",
}  # fmt: skip


@pytest.fixture(scope="module")
def arm():
    return load_arm("franka")


def scenario(**changes):
    chosen = {
        "motion": "sines", "disagreement": 0.01, "row_noise": 0.0, "rows": 50, "delay": 0.1,
        "network": "clean", "seed": 3, "duration": 3.0,
    }  # fmt: skip
    return Scenario(**{**chosen, **changes})


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    out = tmp_path_factory.mktemp("bench")
    assert cli.main(["bench", "control", "--quick", "--out", str(out)]) == 0
    return out, json.loads((out / "bench_control.json").read_text())


def test_the_result_is_complete(quick):
    out, result = quick
    assert (out / "bench_control.png").stat().st_size > 10_000
    assert result.keys() >= {"rows", "machine", "versions", "cost", "verdicts", "jtc_model", "date"}
    assert all(set(row) == ROW_KEYS for row in result["rows"])
    cases = {
        tuple(row[k] for k in ("disagreement", "row_noise", "horizon", "delay", "network"))
        for row in result["rows"]
    }
    assert len(result["rows"]) == len(cases) * len(contestants())
    assert {entry["joints"] for entry in result["cost"]} == {7, 14}
    assert all(0 < entry["update_p50_us"] <= entry["update_p999_us"] for entry in result["cost"])


def test_what_this_controller_promises_holds(quick):
    _, result = quick
    ours = [row for row in result["rows"] if row["method"] == "labvla"]
    assert len(ours) == 5
    for row in ours:
        assert row["violations"] == 0
        assert row["accepted"] >= 0.99
        assert row["stop_time"] <= 0.8


def test_the_metrics_can_tell_methods_apart(quick):
    """Guards the test above: the same figures are not zero for a method without limits."""
    _, result = quick
    linear = [row for row in result["rows"] if row["method"] == "linear_replace"]
    assert all(row["violations"] > 0 and row["stop_jerk"] > 1e4 for row in linear)


def test_the_model_of_jtc_is_the_real_one():
    deviations = jtc_recordings.deviations()
    assert [entry["wire"] for entry in deviations] == list(jtc_recordings.WIRES)
    for entry in deviations:
        assert entry["samples"] > 900
        assert entry["travel_rad"] > 0.1
        assert entry["largest_deviation_rad"] < 2e-6


def test_jtc_with_velocity_continuity_steps_in_acceleration_only():
    period = 0.001
    updates = np.arange(0.0, 0.6, period)
    rows = np.linspace(0.0, 0.4, 12)[:, None] ** 2
    steps = np.arange(1, 13) / 30
    messages = [
        Message(5, None, steps, rows, continue_velocity=True),
        Message(205, None, steps, rows + 0.05, continue_velocity=True),
    ]
    commands = play(messages, np.zeros(1), updates, period).commands[:, 0]
    velocity = np.diff(commands) / period
    acceleration = np.diff(velocity) / period
    seam = slice(200, 208)
    assert np.abs(np.diff(velocity[seam])).max() < 0.2
    assert np.abs(np.diff(acceleration[seam])).max() > 10.0


def test_equal_scenarios_give_equal_streams_and_delay_changes_no_row(arm):
    first, again = (make_stream(scenario(network="rough"), arm) for _ in range(2))
    late = make_stream(scenario(network="rough", delay=0.2), arm)
    by_sequence = {delivery.sequence: delivery for delivery in late.deliveries}
    assert [d.arrival for d in first.deliveries] == [d.arrival for d in again.deliveries]
    for one, other in zip(first.deliveries, again.deliveries, strict=True):
        np.testing.assert_array_equal(one.rows, other.rows)
        if one.sequence in by_sequence:
            np.testing.assert_array_equal(one.rows, by_sequence[one.sequence].rows)


def test_a_rough_network_drops_and_reorders(arm):
    stream = make_stream(scenario(network="rough", duration=8.0, seed=1), arm)
    sequences = [delivery.sequence for delivery in stream.deliveries]
    assert len(sequences) < 79
    assert sequences != sorted(sequences)
    assert not stream.usable.all()


@pytest.mark.parametrize("motion", ["sines", "reaches"])
@pytest.mark.parametrize("seed", [1, 2])
def test_the_intended_motion_is_feasible(arm, motion, seed):
    stream = make_stream(scenario(motion=motion, seed=seed, duration=8.0), arm)
    step = 1e-3
    positions = stream.motion(np.arange(0.0, 10.0, step))
    assert (positions > arm.lower).all()
    assert (positions < arm.upper).all()
    use = [
        np.abs(np.diff(positions, order, axis=0)).max(axis=0) / step**order / limit
        for order, limit in enumerate((arm.velocity, arm.acceleration, arm.jerk), start=1)
    ]
    assert np.max(use) <= 0.51
    assert np.max(use) > 0.3


def test_a_known_delay_is_measured_as_lag(arm):
    stream = make_stream(scenario(disagreement=0.0), arm)
    lag = 0.123
    late = stream.motion(np.maximum(stream.times - lag, 0.0))
    taken = np.ones(len(stream.deliveries), dtype=bool)
    figures = measure(stream, Outcome(late, taken), NewestPlan.of(stream))
    assert figures["lag"] == pytest.approx(lag, abs=1e-3)
    assert figures["rms_shifted"] < 2e-4
    assert figures["rms_unshifted"] > 5e-3


def test_a_reference_that_jumps_is_caught(arm):
    stream = make_stream(scenario(disagreement=0.0), arm)
    positions = stream.motion(stream.times)
    positions[2000:] += 0.01
    taken = np.ones(len(stream.deliveries), dtype=bool)
    figures = measure(stream, Outcome(positions, taken), NewestPlan.of(stream))
    assert figures["velocity_violations"] > 0
    assert figures["boundary_velocity_step"] == pytest.approx(0.01 / arm.period, rel=0.1)
    assert figures["stop_time"] == float("inf")


def test_the_spline_goes_through_its_knots_and_bends_without_a_break():
    rng = np.random.default_rng(5)
    times, values = np.cumsum(rng.uniform(0.02, 0.05, 9)), rng.normal(size=(9, 2))
    slopes = spline_velocities(times, values, start=np.array([0.3, -0.2]), end=np.zeros(2))
    np.testing.assert_allclose(slopes[[0, -1]], [[0.3, -0.2], [0.0, 0.0]])
    np.testing.assert_allclose(hermite(times, values, slopes, times), values, atol=1e-12)
    step = 1e-4
    at = times[1:-1, None] + step * np.arange(-3, 4)
    curve = hermite(times, values, slopes, at.ravel()).reshape(7, 7, 2)
    bend = np.diff(curve, 2, axis=1) / step**2
    np.testing.assert_allclose(bend[:, 0], bend[:, -1], rtol=0.2, atol=20.0)


def test_domination_needs_more_than_a_hair():
    ours = {"boundary_jerk_max": 100.0, "lag": 0.010}
    assert not dominates({"boundary_jerk_max": 99.0, "lag": 0.009}, ours)
    assert dominates({"boundary_jerk_max": 80.0, "lag": 0.010}, ours)
    assert dominates({"boundary_jerk_max": 100.0, "lag": 0.001}, ours)
    assert not dominates({"boundary_jerk_max": 80.0, "lag": 0.030}, ours)
    assert not dominates({"boundary_jerk_max": 80.0, "lag": -0.030}, ours)


def test_without_a_part_it_is_wrong_use(capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["bench"])
    assert end.value.code == 2
    assert "WHAT" in capsys.readouterr().err
