"""Rows that end soon after they arrive: a steady sender is followed, a silent one stopped."""

from __future__ import annotations

import cells
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labvla_control import Chunk, Config, Mode, StopReason, Trace, simulate
from streams import (
    ROW,
    StreamSpec,
    assert_inside_limits,
    assert_silence_ends_in_standstill,
    assert_stops_end,
    chunk_specs,
    deliveries,
)
from test_following import Motion
from test_stops import distance_to_path, path_at, standstill

CONFIG = cells.fr3_position()
HOME = cells.FR3_HOME
NAMES = [joint.name for joint in CONFIG.joints]
ROWS = 10
INTERVAL = 0.1


def short_chunks(
    motion: Motion, delay: float, *, lost: float = 0.0, until: float = 6.0
) -> list[tuple[float, Chunk]]:
    """Ten rows every 100 ms; row 0 lies one row after the observation."""
    rng = np.random.default_rng(7)
    out = []
    for k, observed in enumerate(np.arange(0.0, until - delay, INTERVAL)):
        rows = motion.at(observed + ROW * np.arange(1, ROWS + 1))
        start = round((observed + ROW) * 1e9)
        chunk = Chunk(
            NAMES,
            rows,
            ROW,
            plan_start_ns=start,
            observation_ns=round(observed * 1e9),
            sequence=k + 1,
        )
        if k == 0 or rng.random() >= lost:
            out.append((observed + delay, chunk))
    return out


def error(trace: Trace, motion: Motion, until: float) -> np.ndarray:
    judged = (trace.time > 1.0) & (trace.time < until)
    return trace.position[judged] - motion.at(trace.time[judged])


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("delay", [0.0, 0.1, 0.2])
def test_a_steady_sender_is_followed_to_the_end_of_every_chunk(seed: int, delay: float) -> None:
    motion = Motion(seed, 0.5)
    trace = simulate(CONFIG, HOME, short_chunks(motion, delay), 6.0)
    assert trace.accepted.all()
    assert np.abs(error(trace, motion, 6.0)).max() <= 1e-3
    assert (trace.mode[trace.time > 1.0] == Mode.TRACKING.value).all()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_lost_chunk_is_bridged(seed: int) -> None:
    motion = Motion(seed, 0.5)
    trace = simulate(CONFIG, HOME, short_chunks(motion, 0.2, lost=0.1), 6.0)
    assert_inside_limits(trace, CONFIG)
    assert trace.accepted.all()
    assert np.sqrt(np.mean(error(trace, motion, 6.0) ** 2)) <= 20e-3


def line(
    config: Config, speed: float, until: float, delay: float = 0.2
) -> list[tuple[float, Chunk]]:
    return [
        (
            start + delay,
            Chunk(
                NAMES,
                path_at(start + ROW * np.arange(ROWS), speed),
                ROW,
                plan_start_ns=round(start * 1e9),
                sequence=k + 1,
            ),
        )
        for k, start in enumerate(np.arange(0.0, until, INTERVAL))
    ]


@pytest.mark.parametrize("speed", [0.1, 0.5, 0.6])
def test_silence_after_short_chunks_ends_in_standstill_not_far_away(speed: float) -> None:
    chunks = line(CONFIG, speed, until=1.6)
    last, _ = chunks[-1]
    trace = simulate(CONFIG, HOME, chunks, 3.0)
    assert_inside_limits(trace, CONFIG)
    assert StopReason(trace.stop_reason[-1]) == StopReason.END_OF_DATA
    assert standstill(trace, last) - last <= CONFIG.standstill_limit
    last_row = path_at(np.array([last - 0.2 + ROW * (ROWS - 1)]), speed)[0]
    beyond = np.abs(trace.position[-1] - last_row).max()
    acceleration, jerk = (getattr(CONFIG.joints[0].operating, n) for n in ("acceleration", "jerk"))
    braking = speed / 2 * (speed / acceleration + acceleration / jerk)
    assert beyond <= speed * CONFIG.longest_overrun + 1.2 * braking
    assert distance_to_path(trace, last) <= 1e-3


def test_without_an_overrun_nothing_is_travelled_but_rows_and_the_stop() -> None:
    config = cells.fr3_position(longest_overrun=0.0)
    chunks = line(config, 0.5, until=1.2)
    last = chunks[-1][0]
    trace = simulate(config, HOME, chunks, 3.0)
    slower = np.flatnonzero((trace.time > last) & (trace.mode == Mode.STOPPING.value))[0]
    assert trace.time[slower] <= last - 0.2 + ROW * (ROWS - 1) + 2 * config.period


def test_the_overrun_keeps_the_range_of_a_joint() -> None:
    """Rows run towards a position limit and end just before it, at full speed."""
    soft = CONFIG.joints[0].soft_limits()[1]
    start = HOME.copy()
    start[0] = soft - 0.75
    along = np.eye(7)[0]

    def row(time: np.ndarray) -> np.ndarray:
        return start + np.outer(0.6 * np.clip(time, 0, None) ** 2 / (time + 0.4), along)

    chunks = [
        (
            t + 0.2,
            Chunk(
                NAMES, row(t + ROW * np.arange(ROWS)), ROW, plan_start_ns=round(t * 1e9), sequence=k
            ),
        )
        for k, t in enumerate(np.arange(0.0, 1.0, INTERVAL), 1)
    ]
    trace = simulate(CONFIG, start, chunks, 3.0)
    assert_inside_limits(trace, CONFIG)
    assert trace.position[-1, 0] > soft - 0.2


steady_streams = st.builds(
    lambda specs, gap, lead: StreamSpec(
        [type(s)(s.kind, gap, lead, min(s.rows, 12), s.size, s.seed, 0) for s in specs]
    ),
    st.lists(chunk_specs, min_size=3, max_size=15),
    st.floats(0.03, 0.2),
    st.floats(-0.4, 0.0),
)


@settings(max_examples=300)
@given(near_limits=st.booleans(), stream=steady_streams)
def test_no_steady_stream_of_short_chunks_breaks_a_limit(
    near_limits: bool, stream: StreamSpec
) -> None:
    home = np.array([2.6, 1.65, 2.8, -0.25, -2.7, 0.65, 2.9]) if near_limits else HOME
    chunks, duration = deliveries(stream, CONFIG, home)
    trace = simulate(CONFIG, home, chunks, duration)
    assert_inside_limits(trace, CONFIG)
    assert_stops_end(trace, CONFIG)
    assert_silence_ends_in_standstill(trace, CONFIG, [time for time, _ in chunks])
