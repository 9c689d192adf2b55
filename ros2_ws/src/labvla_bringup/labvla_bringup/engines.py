"""The engines that bench mode offers, and what can be said to them when a stack is brought up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from labvla_bringup import resources
from labvla_policy.engines.base import EngineError
from labvla_policy.engines.labvla.options import LabvlaOptions
from labvla_policy.engines.remote.options import RemoteOptions
from labvla_policy.model.control import local_control
from labvla_policy.model.errors import ModelError

Options = Mapping[str, str]

MINI = "labvla-mini"  # the checkpoint that comes along, trained in the simulated cell below
MINI_CELL = "franka"

EXECUTE_ROWS = "execute_rows"  # the policy node's parameter
_LOADING = 600.0  # s: ten gigabytes from a slow disk, and a first answer
_ROAD = 1.0  # s that the node gives an engine beyond its own deadline, to say that it has passed


@dataclass(frozen=True)
class EngineKind:
    """What one kind of engine can be told."""

    options: tuple[str, ...] = ()
    defaults: Callable[[], dict[str, str]] = dict
    # Checks the values, and returns the parameters of the policy node that follow from them.
    parameters: Callable[[Options], dict[str, float]] = lambda _: {}


def _remote_parameters(options: Options) -> dict[str, float]:
    return {"engine_timeout": RemoteOptions.parse(options).deadline + _ROAD}


def _labvla_parameters(options: Options) -> dict[str, float]:
    checkpoint = LabvlaOptions.parse(options).checkpoint
    try:
        rows = local_control(checkpoint).execute_rows
    except ModelError as error:
        raise EngineError(f"labvla: {error}") from None
    return {"load_timeout": _LOADING, **({} if rows is None else {EXECUTE_ROWS: rows})}


_KINDS: Mapping[str, EngineKind] = {
    "expert": EngineKind(),
    "replay": EngineKind(
        ("recording",), lambda: {"recording": str(resources.config("replays/nod.csv"))}
    ),
    "labvla": EngineKind(
        LabvlaOptions.names(), lambda: {"checkpoint": MINI}, parameters=_labvla_parameters
    ),
    "remote": EngineKind(RemoteOptions.names(), parameters=_remote_parameters),
}
ENGINES = tuple(_KINDS)


@dataclass(frozen=True)
class EngineChoice:
    """An engine with everything that it and the policy node need to know."""

    kind: str
    options: Mapping[str, str]
    parameters: Mapping[str, float]


def choose(engine: str, given: Options) -> EngineChoice:
    """Complete and check what an engine is told, or raise EngineError: better now than in a log."""
    if engine not in _KINDS:
        raise EngineError(f"engine: expected one of {', '.join(ENGINES)}, got {engine!r}")
    kind = _KINDS[engine]
    unknown = sorted(set(given) - set(kind.options))
    if unknown:
        known = ", ".join(kind.options) or "none at all"
        raise EngineError(f"engine {engine}: expected options out of {known}; got {unknown[0]!r}")
    options = {**kind.defaults(), **given}
    return EngineChoice(engine, options, kind.parameters(options))
