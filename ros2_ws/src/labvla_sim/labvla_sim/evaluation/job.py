"""One episode that has to be played, and under which settings of the policy side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any, get_args

from labvla_policy.runtime.scheduling.scheduler import Mode
from labvla_sim.evaluation.suite import Condition, EvaluationError, Suite

_LONGEST_DELAY = 2.0  # s: the scheduler gives up later answers


@dataclass(frozen=True)
class Setting:
    """How answers of the policy are used."""

    scheduling: Mode = "async"
    execute: int = 8  # rows of a chunk after which the next one should take over
    delay: float = 0.0  # s that every answer takes
    steps: int | None = None  # of the Euler method; None: as the checkpoint says

    def __post_init__(self) -> None:
        if self.scheduling not in get_args(Mode):
            raise EvaluationError(
                f"scheduling: expected one of {', '.join(get_args(Mode))}, got {self.scheduling!r}"
            )
        if not 1 <= self.execute <= 1000:
            raise EvaluationError(f"execute: expected 1 to 1000 rows, got {self.execute}")
        if not 0.0 <= self.delay <= _LONGEST_DELAY:
            raise EvaluationError(f"delay: expected 0 to {_LONGEST_DELAY:g} s, got {self.delay:g}")
        if self.steps is not None and not 1 <= self.steps <= 1000:
            raise EvaluationError(f"steps: expected 1 to 1000, got {self.steps}")

    @property
    def name(self) -> str:
        """What tables call it; two settings with the same name are the same."""
        steps = "" if self.steps is None else f", {self.steps} steps"
        delay = f", {self.delay * 1e3:g} ms late" if self.delay else ""
        return f"{self.scheduling}, {self.execute} rows{steps}{delay}"

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Job:
    """One episode."""

    setting: Setting
    condition: Condition
    task: str
    seed: int

    @property
    def key(self) -> str:
        """Names it in files."""
        return f"{self.setting.name} | {self.condition.name} | {self.task} | {self.seed}"


def jobs(
    suite: Suite,
    settings: Mapping[Setting, Sequence[Condition]],
    seeds: Sequence[int],
) -> list[Job]:
    """Return all episodes, such that an interrupted run knows a little about everything."""
    return [
        Job(setting, condition, task, seed)
        for setting, conditions in settings.items()
        for seed in seeds
        for condition in conditions
        for task in suite.tasks
    ]


Axis = tuple[str, tuple[Any, ...]]  # a field of Setting and its values


def parse_axis(text: str) -> Axis:
    """Read `execute=4,8,16`."""
    name, equals, values = text.partition("=")
    if name not in _READERS or not equals or not values:
        raise EvaluationError(
            f"sweep: expected NAME=VALUE,… with a name of {', '.join(_READERS)}, got {text!r}"
        )
    try:
        return name, tuple(dict.fromkeys(_READERS[name](value) for value in values.split(",")))
    except ValueError:
        raise EvaluationError(f"sweep: {name} has no value as in {values!r}") from None


def swept(base: Setting, axes: Sequence[Axis]) -> Iterator[Setting]:
    """Yield the base setting with every combination of the axes' values."""
    names = [name for name, _ in axes]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise EvaluationError(f"sweep: {twice[0]} is given twice")
    if axes:
        for values in product(*(values for _, values in axes)):
            yield replace(base, **dict(zip(names, values, strict=True)))


_READERS: Mapping[str, Any] = {"execute": int, "steps": int, "delay": float, "scheduling": str}
