"""Who is judged: an engine, and what it is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from labvla_policy.engines.base import EngineError, Question
from labvla_policy.engines.registry import make_engine
from labvla_policy.engines.spec import EngineSpec
from labvla_policy.model.checkpoint.source import find_checkpoint
from labvla_policy.runtime.cell import Cell
from labvla_policy.runtime.types import Observation, Prediction
from labvla_sim.experts.base import Expert
from labvla_sim.experts.engine import TruthEngine
from labvla_sim.experts.impostors import IMPOSTORS
from labvla_sim.scene.description import SceneDescription
from labvla_sim.truth_text import SceneTruth

EXPERT, IMPOSTOR = "expert", "impostor"
PRIVILEGED = (EXPERT, IMPOSTOR)  # read the true state instead of pictures
_STEPS = "steps"  # what the engine labvla calls the steps of the Euler method


class EvaluatedEngine(Protocol):
    """What is asked of it."""

    @property
    def policy(self) -> str:
        """Name it."""
        ...

    def begin(self, observation: Observation) -> None:
        """Start a new instruction."""
        ...

    def infer(self, question: Question) -> Prediction:
        """Predict."""
        ...

    def close(self) -> None:
        """Give back what it holds."""
        ...


@dataclass(frozen=True)
class Contestant:
    """An engine and what it is told."""

    kind: str
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def privileged(self) -> bool:
        """Whether it reads the true state and needs no pictures."""
        return self.kind in PRIVILEGED

    @property
    def digest(self) -> str:
        """Tell the checkpoint's content apart from any other; empty where there is none."""
        source = self.options.get("checkpoint")
        return "" if source is None else find_checkpoint(source).digest

    def told(self, steps: int | None) -> dict[str, str]:
        """Return the options, with the steps of a setting."""
        return {**self.options, **({} if steps is None else {_STEPS: str(steps)})}

    def make(
        self, cell: Cell, steps: int | None, newest: Callable[[], SceneTruth]
    ) -> EvaluatedEngine:
        """Make the engine; raise EngineError or Refused where it cannot work.

        Args:
            cell: that it drives.
            steps: of the Euler method, where it has such a thing.
            newest: the true state, for who may read it.
        """
        if self.privileged and steps is not None:
            raise EngineError(f"engine {self.kind}: it has no Euler steps to set")
        if self.kind == EXPERT:
            return TruthEngine(cell, newest)
        if self.kind == IMPOSTOR:
            return ImpostorEngine(cell, newest, self.options.get("name", ""))
        return make_engine(EngineSpec(self.kind, cell.origin.file, self.told(steps)))


class ImpostorEngine(TruthEngine):
    """Attempts that come close and are not the task: they fail for a known reason."""

    def __init__(self, cell: Cell, newest: Callable[[], SceneTruth], name: str) -> None:
        super().__init__(cell, newest)
        known = sorted({name for attempts in IMPOSTORS.values() for name in attempts})
        if name not in known:
            raise EngineError(
                f"engine {IMPOSTOR}: expected the option name, one of {', '.join(known)}; "
                f"got {name or 'none'}"
            )
        self._name, self.policy = name, f"{IMPOSTOR}:{name}"

    def expert(self, task: str, scene: SceneDescription, seed: int) -> Expert:
        """Return the impostor where the task has it, else one who does nothing."""
        attempts = IMPOSTORS[task]
        return attempts.get(self._name, attempts["Still"])(self._cell, scene, seed)
