"""Whatever arrives, and whatever happens meanwhile, the reference keeps the operating limits."""

from __future__ import annotations

import cells
import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from streams import (
    StreamSpec,
    assert_inside_limits,
    assert_silence_ends_in_standstill,
    assert_stops_end,
    deliveries,
    streams,
)

from labvla_control import Config, simulate

ROBOTS: dict[str, tuple[Config, np.ndarray]] = {
    "fr3": (cells.fr3_position(), cells.FR3_HOME),
    "fr3_near_limits": (cells.fr3_position(), np.array([2.6, 1.65, 2.8, -0.25, -2.7, 0.65, 2.9])),
    "ur5e": (cells.ur5e(), cells.UR5E_HOME),
    "dual": (cells.build(cells.DUAL), np.concatenate([cells.FR3_HOME, cells.FR3_HOME])),
}


def check(robot: str, stream: StreamSpec) -> None:
    config, home = ROBOTS[robot]
    chunks, duration = deliveries(stream, config, home)
    trace = simulate(config, home, chunks, duration, events=stream.events)
    assert_inside_limits(trace, config)
    assert_stops_end(trace, config)
    assert_silence_ends_in_standstill(trace, config, [time for time, _ in chunks])


@examples(1_000)
@given(robot=st.sampled_from(sorted(ROBOTS)), stream=streams)
def test_no_stream_breaks_a_limit(robot: str, stream: StreamSpec) -> None:
    check(robot, stream)


@pytest.mark.long
@examples(10_000)
@given(robot=st.sampled_from(sorted(ROBOTS)), stream=streams)
def test_no_stream_breaks_a_limit_ten_thousand(robot: str, stream: StreamSpec) -> None:
    check(robot, stream)
