"""An engine that does not get to see or to hear: what a policy does by habit alone.

It wraps another engine and replaces what that one is shown. It is registered for evaluations, and
offered by no other command.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import numpy as np

from labvla_policy.engines.base import Engine, EngineError, Question
from labvla_policy.engines.registry import make_engine
from labvla_policy.engines.spec import EngineSpec
from labvla_policy.runtime.types import Observation, Pixels, Prediction

GREY = 127  # every pixel of a picture that may not be seen
WORDS = "Do the task"  # instead of an instruction that may not be heard
NAME = "blind"
_OF_OWN = ("engine", "sees", "hears")
_SWITCH = {"yes": True, "no": False}


class Answers(Protocol):
    """What is asked of the wrapped engine."""

    def begin(self, observation: Observation) -> None:
        """Start a new instruction."""
        ...

    def infer(self, question: Question) -> Prediction:
        """Predict."""
        ...


class Blinded:
    """Asks an engine about less than there is."""

    def __init__(self, inner: Answers, *, sees: bool, hears: bool) -> None:
        self._inner, self._sees, self._hears = inner, sees, hears

    def begin(self, observation: Observation) -> None:
        """Start a new instruction."""
        self._inner.begin(self._spared(observation))

    def infer(self, question: Question) -> Prediction:
        """Predict from what is left."""
        return self._inner.infer(replace(question, observation=self._spared(question.observation)))

    def _spared(self, observation: Observation) -> Observation:
        images = observation.images if self._sees else tuple(map(_greyed, observation.images))
        words = observation.instruction if self._hears else WORDS
        return replace(observation, images=images, instruction=words)


class BlindEngine(Blinded):
    """The same in an engine's own process: `engine` is what is wrapped, other options are its."""

    def __init__(self, spec: EngineSpec) -> None:
        options = dict(spec.options)
        kind, sees, hears = (options.pop(name, None) for name in _OF_OWN)
        if kind is None or kind == NAME:
            raise EngineError(f"{NAME}: expected the option engine, another engine, got {kind}")
        if sees not in _SWITCH or hears not in _SWITCH:
            raise EngineError(f"{NAME}: expected sees and hears of yes or no, got {sees}, {hears}")
        self._engine: Engine = make_engine(EngineSpec(kind, spec.cell, options))
        super().__init__(self._engine, sees=_SWITCH[sees], hears=_SWITCH[hears])

    def close(self) -> None:
        """Close the wrapped engine."""
        self._engine.close()

    @property
    def policy(self) -> str:
        """Name both."""
        return f"{NAME} {self._engine.policy}"


def options(kind: str, *, sees: bool, hears: bool) -> dict[str, str]:
    """Return what a BlindEngine has to be told besides the wrapped engine's own options."""
    names = {True: "yes", False: "no"}
    return {"engine": kind, "sees": names[sees], "hears": names[hears]}


def _greyed(picture: Pixels | None) -> Pixels | None:
    return None if picture is None else np.full_like(picture, GREY)
