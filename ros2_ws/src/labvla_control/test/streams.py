"""Random streams of chunks and what must hold for the motion that they cause."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from labvla_control import Chunk, Config, Controller, Event, EventKind, Mode, Refusal, Trace

ROW = 1.0 / 30.0
KINDS = ("smooth", "noisy", "too_fast", "outside", "constant", "step", "nan", "short")


@dataclass(frozen=True)
class ChunkSpec:
    """One chunk of a random stream, in numbers that hypothesis can shrink."""

    kind: str
    gap: float  # between the arrival of this chunk and the one before
    lead: float  # of row 0 after arrival; negative: rows are already past
    rows: int
    size: float
    seed: int
    disorder: int  # added to the sequence: a negative one makes it an old chunk


@dataclass(frozen=True)
class StreamSpec:
    chunks: list[ChunkSpec]
    events: list[Event] = field(default_factory=list)


chunk_specs = st.builds(
    ChunkSpec,
    kind=st.sampled_from(KINDS),
    gap=st.floats(0.0, 0.6),
    lead=st.floats(-0.5, 0.24),
    rows=st.integers(2, 60),
    size=st.floats(0.0, 1.0),
    seed=st.integers(0, 1000),
    disorder=st.sampled_from([0, 0, 0, 0, -2]),
)


def _events() -> st.SearchStrategy[list[Event]]:
    kinds = st.sampled_from(
        [
            (EventKind.STOP, 0.0),
            (EventKind.RESET_STOP, 0.0),
            (EventKind.PAUSE, 0.0),
            (EventKind.RESUME, 0.0),
            (EventKind.READY, 0.0),
            (EventKind.READY, 1.0),
            (EventKind.SPEED_SCALING, 0.0),
            (EventKind.SPEED_SCALING, 0.3),
            (EventKind.SPEED_SCALING, 1.0),
            (EventKind.MEASURED_VALID, 0.0),
            (EventKind.MEASURED_VALID, 1.0),
            (EventKind.DISPLACE, 0.05),
            (EventKind.DISPLACE, 0.0),
        ]
    )
    return st.lists(
        st.builds(lambda t, k: Event(t, k[0], k[1]), st.floats(0.0, 3.0), kinds), max_size=5
    )


streams = st.builds(
    StreamSpec, chunks=st.lists(chunk_specs, min_size=1, max_size=10), events=_events()
)


def rows_of(spec: ChunkSpec, base: NDArray[np.float64]) -> NDArray[np.float64]:
    rng = np.random.default_rng(spec.seed)
    time = np.arange(spec.rows)[:, None] * ROW
    joints = base.size
    smooth = base + 0.2 * spec.size * rng.standard_normal(joints) * np.sin(
        3.0 * time + rng.uniform(0, 6, joints)
    )
    match spec.kind:
        case "smooth":
            return smooth
        case "noisy":
            return smooth + 0.05 * spec.size * rng.standard_normal(smooth.shape)
        case "too_fast":
            return base + 1.5 * spec.size * np.sin(rng.uniform(5, 40, joints) * time)
        case "outside":
            return base + 8.0 * spec.size * rng.choice([-1.0, 1.0], joints) * time
        case "constant":
            return np.broadcast_to(base + 0.1 * spec.size, smooth.shape).copy()
        case "step":
            return base + 0.5 * spec.size * (time > 0.5 * time[-1])
        case "nan":
            smooth[rng.integers(spec.rows), rng.integers(joints)] = rng.choice([np.nan, np.inf])
            return smooth
        case "short":
            return smooth[: max(2, spec.rows // 10)]
    raise AssertionError(spec.kind)


def deliveries(
    spec: StreamSpec, config: Config, base: NDArray[np.float64]
) -> tuple[list[tuple[float, Chunk]], float]:
    """Chunks with arrival times, and how long to run so that every motion has ended."""
    names = [joint.name for joint in config.joints]
    out = []
    arrival = 0.0
    for index, chunk in enumerate(spec.chunks):
        arrival += chunk.gap
        start = round((arrival + chunk.lead) * 1e9)
        out.append(
            (
                arrival,
                Chunk(
                    names,
                    rows_of(chunk, base),
                    ROW,
                    plan_start_ns=start,
                    observation_ns=min(start, round(arrival * 1e9)),
                    sequence=2 * index + chunk.disorder + 2,
                ),
            )
        )
    return out, arrival + 2.0


def segments(trace: Trace) -> list[slice]:
    """Stretches without a re-anchoring, each of which must be one continuous motion."""
    cuts = np.flatnonzero(np.diff(trace.anchors)) + 1
    edges = [0, *cuts.tolist(), len(trace.time)]
    return [slice(a, b) for a, b in pairwise(edges)]


def assert_inside_limits(
    trace: Trace, config: Config, positions: NDArray[np.float64] | None = None
) -> None:
    """Differences of the position samples themselves, not what the controller says of them.

    Tolerance: rounding of differences of 3 rad values, 4e-16 * 2^n / dt^n, stays below 1e-8 rad/s^2
    and 1e-4 rad/s^3 at 1 kHz. Nothing else is forgiven.
    """
    samples = trace.position if positions is None else positions
    dt = config.period
    for part in segments(trace):
        p = samples[part]
        for j, joint in enumerate(config.joints):
            lower, upper = joint.soft_limits()
            low = min(lower, p[0, j])
            high = max(upper, p[0, j])
            where = f"{joint.name} in {part}"
            assert p[:, j].min() >= low - 1e-9, where
            assert p[:, j].max() <= high + 1e-9, where
            v, a, jerk = (np.diff(p[:, j], n) / dt**n for n in (1, 2, 3))
            assert np.abs(v).max(initial=0.0) <= joint.operating.velocity + 1e-9, where
            assert np.abs(a).max(initial=0.0) <= joint.operating.acceleration + 1e-7, where
            assert np.abs(jerk).max(initial=0.0) <= joint.operating.jerk + 1e-3, where
            middle = (p[1:, j] + p[:-1, j]) / 2
            if joint.hardware.velocity_law is not None and lower <= p[0, j] <= upper:
                fast = np.flatnonzero(np.abs(v) > 1e-3)
                for k in fast[:: max(1, fast.size // 50)]:
                    bound = joint.hardware.speed_up_at if v[k] > 0 else joint.hardware.speed_down_at
                    assert abs(v[k]) <= bound(middle[k]) + 1e-9, where


def assert_stops_end(trace: Trace, config: Config) -> None:
    """Every slow-down ends at rest within the standstill limit, unless a new plan is taken up."""
    stopping = trace.mode == Mode.STOPPING.value
    taken = np.diff(trace.splices, prepend=0) > 0
    begins = np.flatnonzero(stopping & (~np.roll(stopping, 1) | taken))
    for begin in begins:
        over = np.flatnonzero(
            ~stopping[begin:] | (taken[begin:] & (np.arange(len(taken) - begin) > 0))
        )
        length = over[0] if over.size else len(stopping) - begin
        assert length * config.period <= config.standstill_limit, (
            f"stop at {trace.time[begin]:.3f} s"
        )


def assert_silence_ends_in_standstill(trace: Trace, config: Config, arrivals: list[float]) -> None:
    """After the last accepted chunk the arm is at rest within the promised time."""
    accepted = [time for time, r in zip(arrivals, trace.refusals, strict=True) if r == Refusal.NONE]
    if not accepted:
        return
    after = trace.time > max(accepted) + config.standstill_limit + 2 * config.period
    assert np.abs(trace.velocity[after]).max(initial=0.0) <= 1e-3


def limits_of(config: Config) -> NDArray[np.float64]:
    return Controller(config).limits
