"""Stops: smooth, in time, along the path, latched where they must be; the grasp is kept."""

from __future__ import annotations

import cells
import numpy as np
import pytest
from streams import assert_inside_limits, assert_stops_end

from labvla_control import (
    Chunk,
    Config,
    Event,
    EventKind,
    Mode,
    Refusal,
    StopReason,
    Trace,
    simulate,
)

CONFIG = cells.fr3_position()
HOME = cells.FR3_HOME
ROW = 1.0 / 30.0
DIRECTION = np.array([1.0, -0.5, 0.8, 0.6, -1.0, 0.4, 0.9])
SPEED = 0.5


def path_at(time: np.ndarray, speed: float = SPEED) -> np.ndarray:
    """Straight line in joint space with a soft start."""
    t = np.asarray(time)[:, None]
    run_in = 0.6
    moved = np.where(t < run_in, t**3 / (3 * run_in**2) * (2.0 - t / run_in) * 1.5, t - run_in / 2)
    return HOME + speed * DIRECTION * np.maximum(moved, 0.0)


def moving(
    config: Config = CONFIG,
    *,
    until: float = 9.0,
    period: float = 0.1,
    rows: int = 50,
    grippers: bool = False,
    speed: float = SPEED,
    names: list[str] | None = None,
    home_copies: int = 1,
) -> list[tuple[float, Chunk]]:
    names = names or [joint.name for joint in config.joints]
    out = []
    for k, start in enumerate(np.arange(0.0, until, period)):
        targets = np.tile(path_at(start + np.arange(rows) * ROW, speed), home_copies)
        more = {}
        if grippers:
            opening = np.where(start + np.arange(rows) * ROW < 0.7, 0.08, 0.02)[:, None]
            more = {"gripper_names": ["gripper"], "gripper_targets": opening}
        out.append(
            (
                start,
                Chunk(
                    names, targets, ROW, plan_start_ns=round(start * 1e9), sequence=k + 1, **more
                ),
            )
        )
    return out


def standstill(trace: Trace, after: float) -> float:
    """First time from which nothing moves any more."""
    still = np.abs(np.diff(trace.position, axis=0)).max(axis=1) < 1e-9
    last_motion = np.flatnonzero(~still)[-1]
    assert trace.time[last_motion] >= after
    return float(trace.time[last_motion])


def distance_to_path(trace: Trace, from_time: float) -> float:
    """Joint-space distance of the samples to the line that the plan runs along."""
    unit = DIRECTION / np.linalg.norm(DIRECTION)
    moved = trace.position[trace.time >= from_time] - HOME
    return float(np.linalg.norm(moved - np.outer(moved @ unit, unit), axis=1).max())


@pytest.mark.parametrize("speed", [0.1, 0.5, 0.7])
@pytest.mark.parametrize("silent_from", [0.4, 0.85, 1.3])
def test_silence_ends_in_standstill_within_the_promise(speed: float, silent_from: float) -> None:
    chunks = moving(until=silent_from, speed=speed)
    trace = simulate(CONFIG, HOME, chunks, 4.0)
    last = chunks[-1][0]
    assert_inside_limits(trace, CONFIG)
    assert standstill(trace, last) - last <= CONFIG.standstill_limit
    assert trace.mode[-1] == Mode.HOLD.value
    assert StopReason(trace.stop_reason[-1]) == StopReason.BLIND_LIMIT
    assert distance_to_path(trace, last) <= 1e-3


def test_end_of_data_stops_on_the_last_row() -> None:
    rows = 14
    short = Chunk(
        [joint.name for joint in CONFIG.joints],
        path_at(np.arange(rows) * ROW),
        ROW,
        plan_start_ns=0,
        sequence=1,
    )
    trace = simulate(CONFIG, HOME, [(0.0, short)], 2.0)
    assert StopReason(trace.stop_reason[-1]) == StopReason.END_OF_DATA
    np.testing.assert_allclose(
        trace.position[-1], path_at(np.array([(rows - 1) * ROW]))[0], atol=2e-3
    )


def test_stop_is_latched_and_begins_at_once() -> None:
    events = [Event(1.0, EventKind.STOP), Event(2.5, EventKind.RESET_STOP)]
    trace = simulate(CONFIG, HOME, moving(until=4.0, speed=0.15), 4.0, events=events)
    assert_inside_limits(trace, CONFIG)
    speed = np.linalg.norm(trace.velocity, axis=1)
    at = np.flatnonzero(trace.time > 1.0)[0]
    assert speed[at + 5] < speed[at - 1]
    rest = np.flatnonzero((trace.time > 1.0) & (trace.mode == Mode.STOPPED.value))[0]
    assert trace.time[rest] - 1.0 <= 0.5
    between = (trace.time > trace.time[rest]) & (trace.time < 2.5)
    assert (trace.mode[between] == Mode.STOPPED.value).all()
    refused = [
        r
        for (time, _), r in zip(moving(until=4.0), trace.refusals, strict=True)
        if 1.05 < time < 2.45
    ]
    assert set(refused) == {Refusal.STOPPED}
    assert distance_to_path(trace, 1.0) <= 2e-3


def test_reset_while_still_moving_does_nothing() -> None:
    events = [Event(1.0, EventKind.STOP), Event(1.05, EventKind.RESET_STOP)]
    trace = simulate(CONFIG, HOME, moving(until=3.0), 3.0, events=events)
    assert trace.mode[-1] == Mode.STOPPED.value


def test_pause_holds_and_resume_goes_on_from_there() -> None:
    events = [Event(1.0, EventKind.PAUSE), Event(2.0, EventKind.RESUME)]
    chunks = moving(until=3.5, speed=0.15)
    trace = simulate(CONFIG, HOME, chunks, 3.5, events=events)
    assert_inside_limits(trace, CONFIG)
    assert Mode.PAUSED.value in trace.mode
    held = (trace.time > 1.6) & (trace.time < 2.0)
    assert np.ptp(trace.position[held], axis=0).max() < 1e-9
    assert trace.mode[-1] == Mode.TRACKING.value
    refused = [r for (time, _), r in zip(chunks, trace.refusals, strict=True) if 1.05 < time < 1.95]
    assert set(refused) == {Refusal.PAUSED}


@pytest.mark.parametrize(
    ("off", "on", "reason"),
    [
        (Event(1.0, EventKind.READY, 0.0), Event(2.0, EventKind.READY, 1.0), StopReason.NOT_READY),
        (
            Event(1.0, EventKind.MEASURED_VALID, 0.0),
            Event(2.0, EventKind.MEASURED_VALID, 1.0),
            StopReason.STATE_INVALID,
        ),
        (
            Event(1.0, EventKind.SPEED_SCALING, 0.0),
            Event(2.0, EventKind.SPEED_SCALING, 1.0),
            StopReason.SPEED_ZERO,
        ),
    ],
)
def test_a_lost_precondition_stops_and_recovers(off: Event, on: Event, reason: StopReason) -> None:
    chunks = moving(until=3.5, speed=0.12)
    trace = simulate(CONFIG, HOME, chunks, 3.5, events=[off, on])
    assert_inside_limits(trace, CONFIG)
    fault = trace.mode == Mode.FAULT.value
    assert fault.any()
    assert set(trace.stop_reason[fault]) == {reason.value}
    assert trace.mode[-1] == Mode.TRACKING.value
    assert np.isfinite(trace.command).all()


def test_half_speed_halves_the_speed_and_is_anchored_at_hand_over() -> None:
    events = [Event(1.0, EventKind.SPEED_SCALING, 0.5)]
    chunk = moving(until=0.05, rows=90, period=0.1)
    config = cells.fr3_position(blind_limit=5.0, standstill_limit=6.0)
    trace = simulate(config, HOME, chunk, 2.0, events=events)
    assert_inside_limits(trace, config)
    slow = (trace.time > 1.5) & (trace.time < 1.9)
    np.testing.assert_allclose(
        trace.velocity[slow], np.tile(SPEED * DIRECTION / 2, (slow.sum(), 1)), atol=2e-3
    )
    np.testing.assert_allclose(trace.plan_rate[slow], 0.5, atol=1e-6)
    # A new chunk is due where its stamps say, however slow the robot has been.
    late = Chunk(
        [joint.name for joint in config.joints],
        trace.position[-1] + np.zeros((60, 1)),
        ROW,
        plan_start_ns=round(1.7e9),
        sequence=9,
    )
    again = simulate(config, HOME, [*chunk, (1.9, late)], 1.95, events=events)
    assert again.sequence[-1] == 9
    assert again.accepted.all()


def test_after_speed_zero_the_reference_starts_from_where_the_robot_is() -> None:
    events = [
        Event(1.0, EventKind.SPEED_SCALING, 0.0),
        Event(1.7, EventKind.DISPLACE, 0.05),
        Event(2.0, EventKind.SPEED_SCALING, 1.0),
    ]
    trace = simulate(CONFIG, HOME, moving(until=1.0), 3.0, events=events)
    assert trace.anchors[-1] == 1
    jump = np.flatnonzero(np.diff(trace.anchors))[0]
    # The one step is taken at standstill, to the measured position, with nothing left of the plan.
    assert np.abs(trace.velocity[jump]).max() < 1e-4
    np.testing.assert_allclose(trace.position[jump + 1], trace.measured[jump + 1], atol=1e-9)
    assert trace.mode[-1] == Mode.HOLD.value
    assert_inside_limits(trace, CONFIG)


def test_small_differences_are_not_worth_a_step() -> None:
    events = [
        Event(1.0, EventKind.READY, 0.0),
        Event(1.7, EventKind.DISPLACE, 0.004),
        Event(2.0, EventKind.READY, 1.0),
    ]
    trace = simulate(CONFIG, HOME, moving(until=1.0), 3.0, events=events)
    assert trace.anchors[-1] == 0


def test_lost_tracking_stops_and_latches() -> None:
    joints = cells.fr3_joints()
    for joint in joints:
        joint["tracking_tolerance"] = 0.1
    config = cells.fr3_position(joints=joints)
    trace = simulate(config, HOME, moving(), 3.0, events=[Event(1.0, EventKind.DISPLACE, 0.2)])
    assert trace.mode[-1] == Mode.STOPPED.value
    assert StopReason(trace.stop_reason[-1]) == StopReason.TRACKING_ERROR


@pytest.mark.parametrize("stop", [None, EventKind.STOP, EventKind.PAUSE])
def test_the_gripper_follows_the_timeline_and_keeps_its_grasp(stop: EventKind | None) -> None:
    events = [] if stop is None else [Event(1.2, stop)]
    until = 1.2 if stop is None else 3.0
    trace = simulate(CONFIG, HOME, moving(until=until, grippers=True), 3.0, events=events)
    closing = trace.time[np.flatnonzero(trace.gripper[:, 0] < 0.05)[0]]
    assert closing == pytest.approx(0.7, abs=ROW)
    assert (trace.gripper[trace.time > 0.75] == 0.02).all()
    assert trace.mode[-1] != Mode.TRACKING.value


def test_two_arms_stop_as_one() -> None:
    config = cells.build(cells.DUAL)
    home = np.tile(HOME, 2)
    trace = simulate(
        config, home, moving(config, home_copies=2), 3.0, events=[Event(1.0, EventKind.STOP)]
    )
    assert_inside_limits(trace, config)
    assert_stops_end(trace, config)
    np.testing.assert_allclose(trace.position[:, :7], trace.position[:, 7:], atol=1e-12)


def test_a_chunk_during_the_stop_takes_over_without_a_step() -> None:
    chunks = moving(until=0.3, rows=25)
    silence = 0.75
    resumed = Chunk(
        [joint.name for joint in CONFIG.joints],
        path_at(silence - 0.1 + np.arange(50) * ROW),
        ROW,
        plan_start_ns=round(silence * 1e9),
        sequence=99,
    )
    trace = simulate(CONFIG, HOME, [*chunks, (silence, resumed)], 1.2)
    assert_inside_limits(trace, CONFIG)
    assert Mode.STOPPING.value in trace.mode[trace.time < silence]
    assert trace.mode[-1] == Mode.TRACKING.value


def test_early_chunks_in_a_steady_stream_are_neither_lost_nor_starved() -> None:
    """Each chunk begins 0.2 s after it arrives, at 20 Hz: always newer ones waiting."""
    names = [joint.name for joint in CONFIG.joints]
    chunks = [
        (
            t,
            Chunk(
                names,
                path_at(t + 0.2 + np.arange(40) * ROW, 0.3),
                ROW,
                plan_start_ns=round((t + 0.2) * 1e9),
                observation_ns=round(t * 1e9),
                sequence=k + 1,
            ),
        )
        for k, t in enumerate(np.arange(0.0, 2.0, 0.05))
    ]
    trace = simulate(CONFIG, HOME, chunks, 2.0)
    assert trace.accepted.all()
    late = (trace.time > 0.5) & (trace.time < 1.9)
    assert (trace.mode[late] == Mode.TRACKING.value).all()
    np.testing.assert_allclose(trace.position[late], path_at(trace.time[late], 0.3), atol=1e-3)
