"""Engines that ask fakes, and what they are asked."""

import contextlib

import numpy as np
from original_server import OriginalServer

from labvla_policy.engines.base import Question
from labvla_policy.engines.remote.engine import RemoteEngine
from labvla_policy.engines.spec import EngineSpec
from labvla_policy.runtime.cell import load_cell
from labvla_policy.runtime.columns import policy_columns
from labvla_policy.runtime.gate.gate import Gate
from labvla_policy.runtime.gate.rules import Situation
from labvla_policy.runtime.refusal import Refused
from labvla_policy.runtime.types import Observation

STAMP = 1_000_000_000_000
PICTURES = tuple(np.random.default_rng(0).integers(0, 256, (3, 24, 32, 3), dtype=np.uint8))
# Long enough for a slow machine, and short enough to wait for.
DEADLINE = "1.0"


def observe(cell, images=PICTURES, stamp=STAMP):
    positions = np.concatenate([arm.posture("ready").joints for arm in cell.arms])
    openings = np.full(len(cell.arms), 0.04)
    return Observation(
        stamp=stamp,
        joint_names=cell.joints,
        positions=positions,
        instruction="pick up the beaker",
        grippers=openings,
        state=policy_columns(cell, positions, openings),
        images=tuple(images),
        reference=positions,
    )


def question(cell, **changes):
    return Question(observe(cell, **changes))


@contextlib.contextmanager
def engine_for(uri, cell="franka", **options):
    path = load_cell(cell).origin.file if isinstance(cell, str) else cell.origin.file
    texts = {"uri": uri, "deadline": DEADLINE, **options}
    engine = RemoteEngine(EngineSpec("remote", path, texts))
    try:
        yield engine
    finally:
        engine.close()


@contextlib.contextmanager
def original_and_engine(cell="franka", **options):
    with OriginalServer() as server, engine_for(server.uri, cell, **options) as engine:
        yield server, engine


def verdict(engine, cell, asked=None):
    """What becomes of a question: "accepted", or the reason for which engine or gate refuse."""
    asked = asked or question(cell)
    try:
        prediction = engine.infer(asked)
    except Refused as refused:
        return refused.refusal.reason
    rest = np.zeros(len(cell.joints))
    situation = Situation(STAMP, asked.observation.positions, rest, 1 / cell.policy.row_rate)
    judged = Gate(cell).check(prediction, situation)
    return "accepted" if judged.plan is not None else judged.refusal.reason
