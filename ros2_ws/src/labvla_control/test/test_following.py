"""On streams that the limits can follow, the reference does: accepted, close, quickly back."""

from __future__ import annotations

import cells
import numpy as np
import pytest
from examples import examples
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from streams import assert_inside_limits, limits_of

from labvla_control import Chunk, Trace, simulate

CONFIG = cells.fr3_position()
HOME = cells.FR3_HOME
NAMES = [joint.name for joint in CONFIG.joints]
LIMITS = limits_of(CONFIG)
ROW = 1.0 / 30.0


class Motion:
    """Three sines per joint that fade in, scaled to a share of each operating limit."""

    def __init__(self, seed: int, share: float) -> None:
        rng = np.random.default_rng(seed)
        self.frequency = rng.uniform(0.1, 0.7, (3, 7)) * 2 * np.pi
        self.phase = rng.uniform(0, 2 * np.pi, (3, 7))
        self.weight = rng.uniform(0.2, 1.0, (3, 7))
        time = np.linspace(0.0, 12.0, 3000)
        derivative = self._raw(time)
        demand = np.zeros(7)
        for limit in LIMITS[:, 2:].T:  # velocity, acceleration, jerk
            derivative = np.gradient(derivative, time, axis=0)
            demand = np.maximum(demand, np.abs(derivative).max(axis=0) / limit)
        room = np.minimum(HOME - LIMITS[:, 0], LIMITS[:, 1] - HOME)
        self.scale = np.minimum(share / demand, 0.9 * room / np.abs(self._raw(time)).max(axis=0))

    def _raw(self, time: NDArray[np.float64]) -> NDArray[np.float64]:
        t = np.atleast_1d(time)[:, None]
        fade = np.clip(t / 3.0, 0.0, 1.0)
        fade = fade**4 * (35 - 84 * fade + 70 * fade**2 - 20 * fade**3)
        waves = [
            w * np.sin(f * t + p)
            for f, p, w in zip(self.frequency, self.phase, self.weight, strict=True)
        ]
        return fade * sum(waves)

    def at(self, time: NDArray[np.float64]) -> NDArray[np.float64]:
        return HOME + self.scale * self._raw(time)


def stream(
    motion: Motion,
    seed: int,
    *,
    disagreement: float,
    noise: float,
    delay: tuple[float, float],
    period: float,
):
    """Chunks of one motion, each with a smooth error of its own: offset and slope per joint."""
    rng = np.random.default_rng(seed)
    out, last = [], 0.0
    for index, observed in enumerate(np.arange(0.0, 9.0, period)):
        ahead = np.arange(50) * ROW
        error = disagreement * (
            rng.standard_normal(7) + 0.3 * rng.standard_normal(7) * ahead[:, None]
        )
        rows = motion.at(observed + ahead) + error + noise * rng.standard_normal((50, 7))
        last = max(last, observed + rng.uniform(*delay))
        stamp = round(observed * 1e9)
        out.append((last, Chunk(NAMES, rows, ROW, plan_start_ns=stamp, sequence=index + 1)))
    return out


def rms_to_shifted(trace: Trace, motion: Motion) -> float:
    """Distance to the motion after the best common shift in time, from 1 s on."""
    kept = trace.time > 1.0
    shifts = np.arange(0.0, 0.1, 0.005)
    return min(
        float(np.sqrt(np.mean((trace.position[kept] - motion.at(trace.time[kept] - s)) ** 2)))
        for s in shifts
    )


def rejoin_times(trace: Trace) -> NDArray[np.float64]:
    """Per splice: until all joints are within 1 mrad, or a tenth of where they began, of the plan.

    A plan replaced before that counts as never rejoined (infinite): nothing is left out.
    """
    taken = np.flatnonzero(np.diff(trace.splices) > 0) + 1
    times = []
    for begin, end in zip(taken, [*taken[1:], len(trace.time)], strict=True):
        distance = trace.deviation[begin:end]
        close = np.flatnonzero(distance <= max(1e-3, 0.1 * distance[0]))
        times.append(close[0] * CONFIG.period if close.size else np.inf)
    return np.array(times)


@given(
    seed=st.integers(0, 10_000),
    share=st.floats(0.1, 0.6),
    disagreement=st.floats(0.0, 0.003),
    jitter=st.floats(0.0, 0.3),
    period=st.floats(0.1, 0.4),
)
@examples(100)
def test_feasible_stream_is_followed(seed, share, disagreement, jitter, period) -> None:
    assume(period + jitter < 0.45)  # a chunk that comes later finds the arm braking, as it must
    motion = Motion(seed, share)
    chunks = stream(
        motion, seed, disagreement=disagreement, noise=0.0, delay=(0.0, jitter), period=period
    )
    trace = simulate(CONFIG, HOME, chunks, 9.0)
    assert_inside_limits(trace, CONFIG)
    judged = [refusal for refusal in trace.refusals if refusal is not None]
    assert trace.accepted.sum() >= 0.99 * len(judged)
    assert rms_to_shifted(trace, motion) <= 5e-3


@pytest.mark.parametrize(("disagreement", "bound"), [(0.001, 0.2), (0.003, 0.2)])
def test_rejoin_after_a_splice(disagreement: float, bound: float) -> None:
    times = []
    for seed in range(12):
        chunks = stream(
            Motion(seed, 0.5),
            seed,
            disagreement=disagreement,
            noise=0.0,
            delay=(0.05, 0.15),
            period=0.4,
        )
        times.append(rejoin_times(simulate(CONFIG, HOME, chunks, 9.0)))
    assert np.percentile(np.concatenate(times), 95) <= bound


def test_without_disagreement_there_is_no_lag() -> None:
    motion = Motion(3, 0.5)
    chunks = stream(motion, 3, disagreement=0.0, noise=0.0, delay=(0.0, 0.3), period=0.2)
    trace = simulate(CONFIG, HOME, chunks, 9.0)
    assert np.abs(trace.position - motion.at(trace.time))[1000:].max() <= 1e-3
    assert trace.samples_limited == 0


@pytest.mark.parametrize("noise", [0.003, 0.01])
def test_row_noise_is_taken_out_without_lag(noise: float) -> None:
    motion = Motion(5, 0.4)
    chunks = stream(motion, 5, disagreement=0.0, noise=noise, delay=(0.05, 0.1), period=0.2)
    trace = simulate(CONFIG, HOME, chunks, 9.0)
    error = trace.position - motion.at(trace.time)
    assert np.sqrt(np.mean(error[1000:] ** 2)) <= 0.6 * noise


def test_replanning_faster_than_a_blend_still_converges() -> None:
    base = HOME
    offset = 0.04
    rows = np.broadcast_to(base + offset, (50, 7))
    chunks = [
        (k * ROW, Chunk(NAMES, rows, ROW, plan_start_ns=round(k * ROW * 1e9), sequence=k + 1))
        for k in range(60)
    ]
    trace = simulate(CONFIG, base, chunks, 2.0)
    one = simulate(CONFIG, base, chunks[:1], 2.0)
    arrival = np.flatnonzero(trace.deviation[1:] <= 1e-3)[0]
    alone = np.flatnonzero(one.deviation[1:] <= 1e-3)[0]
    assert arrival <= 1.25 * alone
