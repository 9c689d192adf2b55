"""An engine that misbehaves on order: it shows what the stack does with a bad policy.

It wraps another engine and spoils its answers for as long as a file says how. It is registered, but
offered by no command, and refuses to start without that file's name.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from labvla_policy.engines.base import Engine, EngineError, Question
from labvla_policy.engines.registry import make_engine
from labvla_policy.engines.spec import EngineSpec
from labvla_policy.runtime.types import NANOSECONDS, Array, Observation, Prediction

LATE = 1.6  # s: nearly all of 50 rows at 30 Hz are past then
SLOW = 0.3  # s: rows enough are left
AWAY = 0.5  # rad, further than compliance lets an arm be from its reference
WRONG_TIME = 5  # s


class FaultyEngine:
    """Answers as another engine does, unless it was ordered otherwise."""

    def __init__(self, spec: EngineSpec) -> None:
        if "orders" not in spec.options:
            raise EngineError(
                "faulty: this engine is for tests of the stack; expected the option orders, a file "
                f"that says what to do wrong ({', '.join(MISDEEDS)})"
            )
        options = dict(spec.options)
        self._orders = Path(options.pop("orders"))
        kind = options.pop("engine", "expert")
        if kind == spec.kind:
            raise EngineError("faulty: expected another engine to wrap, got itself")
        self._inner: Engine = make_engine(EngineSpec(kind, spec.cell, options))
        self._previous: Prediction | None = None

    @property
    def policy(self) -> str:
        """Name both."""
        return f"faulty {self._inner.policy}"

    def begin(self, observation: Observation) -> None:
        """Start a new instruction."""
        self._inner.begin(observation)

    def infer(self, question: Question) -> Prediction:
        """Answer, or do as ordered."""
        prediction = self._inner.infer(question)
        order = self._order()
        if order == "repeat":
            # Right times and old rows: what is left of an engine whose inputs do not reach it.
            old = self._previous or prediction
            return replace(old, plan_start=prediction.plan_start)
        self._previous = prediction
        return MISDEEDS[order](prediction, question.observation) if order else prediction

    def close(self) -> None:
        """Close the wrapped engine."""
        self._inner.close()

    def _order(self) -> str:
        try:
            order = self._orders.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return ""
        if order and order not in MISDEEDS:
            raise EngineError(f"faulty: expected an order of {', '.join(MISDEEDS)}, got {order!r}")
        return order


Misdeed = Callable[[Prediction, Observation], Prediction]


def _raise(_prediction: Prediction, _seen: Observation) -> Prediction:
    raise RuntimeError("ordered to fail")


def _hang(_prediction: Prediction, _seen: Observation) -> Prediction:
    while True:
        time.sleep(1.0)


def _exit(_prediction: Prediction, _seen: Observation) -> Prediction:
    os._exit(3)


def _crash(prediction: Prediction, _seen: Observation) -> Prediction:
    os.kill(os.getpid(), signal.SIGSEGV)
    return prediction


def _nonsense(_prediction: Prediction, _seen: Observation) -> Prediction:
    return {"rows": "all of them"}  # type: ignore[return-value]


def _after(seconds: float) -> Misdeed:
    def answer_later(prediction: Prediction, _seen: Observation) -> Prediction:
        time.sleep(seconds)
        return prediction

    return answer_later


def _shifted(seconds: int) -> Misdeed:
    def shift(prediction: Prediction, _seen: Observation) -> Prediction:
        return replace(prediction, plan_start=prediction.plan_start + seconds * NANOSECONDS)

    return shift


def _rows(change: Callable[[Array, Observation], Array]) -> Misdeed:
    def spoil(prediction: Prediction, seen: Observation) -> Prediction:
        return replace(prediction, joint_targets=change(prediction.joint_targets.copy(), seen))

    return spoil


def _not_a_number(rows: Array, _seen: Observation) -> Array:
    rows[len(rows) // 2 :, 0] = np.nan
    return rows


def _constant(rows: Array, seen: Observation) -> Array:
    return np.tile(seen.positions + 0.1, (len(rows), 1))


def _fast(rows: Array, seen: Observation) -> Array:
    """Swing the first joint to and fro, three times as fast as it may move."""
    rows[:] = seen.positions
    rows[:, 0] += 0.4 * np.sin(0.2 * np.arange(1, len(rows) + 1))
    return rows


def _beyond(rows: Array, seen: Observation) -> Array:
    """Bend the elbow, the joint nearest to an end, at an allowed speed and past it."""
    rows[:] = seen.positions
    rows[:, 3] -= np.arange(1, len(rows) + 1) * 0.02
    return rows


def _dive(rows: Array, seen: Observation) -> Array:
    """Bend the second joint at an allowed speed until the hand is under the bench."""
    rows[:] = seen.positions
    rows[:, 1] += np.arange(1, len(rows) + 1) * 0.02
    return rows


def _narrow(prediction: Prediction, _seen: Observation) -> Prediction:
    return replace(
        prediction,
        joint_names=prediction.joint_names[:-1],
        joint_targets=prediction.joint_targets[:, :-1],
    )


def _misshapen(prediction: Prediction, _seen: Observation) -> Prediction:
    return replace(prediction, joint_targets=prediction.joint_targets[:, :-1])


def _stretched(prediction: Prediction, _seen: Observation) -> Prediction:
    return replace(prediction, dt=2.0 * prediction.dt)


def _huge(prediction: Prediction, _seen: Observation) -> Prediction:
    return replace(
        prediction,
        joint_targets=np.repeat(prediction.joint_targets, 400, axis=0),
        gripper_targets=np.repeat(prediction.gripper_targets, 400, axis=0),
    )


def _as_before(prediction: Prediction, _seen: Observation) -> Prediction:
    return prediction


MISDEEDS: dict[str, Misdeed] = {
    "raise": _raise,
    "hang": _hang,
    "exit": _exit,
    "crash": _crash,
    "nonsense": _nonsense,
    "late": _after(LATE),
    "slow": _after(SLOW),
    "ahead": _shifted(WRONG_TIME),
    "past": _shifted(-WRONG_TIME),
    "nan": _rows(_not_a_number),
    "zeros": _rows(lambda rows, _seen: np.zeros_like(rows)),
    "constant": _rows(_constant),
    "repeat": _as_before,  # needs the answer before: see infer
    "jump": _rows(lambda rows, _seen: rows + AWAY),
    "fast": _rows(_fast),
    "beyond": _rows(_beyond),
    "dive": _rows(_dive),
    "narrow": _narrow,
    "misshapen": _misshapen,
    "stretched": _stretched,
    "huge": _huge,
}
