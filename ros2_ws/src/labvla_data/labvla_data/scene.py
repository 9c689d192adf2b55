"""What stood on a simulated bench when a recording began."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

SIMULATION = "simulation"  # the source of an episode that was drawn and never recorded


@dataclass(frozen=True)
class Scene:
    """Task, seed and variation say what stands there; the positions, where it was by then."""

    task: str
    seed: int
    variation: str
    positions: tuple[float, ...] = ()  # of all joints and things, in MuJoCo's order; none: unknown
    heating: bool = False  # the hot plate runs
    temperature: float | None = None  # degrees Celsius of the plate; None: unknown

    def is_of(self, other: Scene) -> bool:
        """Whether both are moments of what was put up once."""
        mine, theirs = (
            (self.task, self.seed, self.variation),
            (other.task, other.seed, other.variation),
        )
        return mine == theirs

    def as_json(self) -> dict[str, Any]:
        """Return it as it stands in a dataset."""
        return {**asdict(self), "positions": list(self.positions)}


def of_json(value: Mapping[str, Any]) -> Scene:
    """Read what `as_json` has written; KeyError, TypeError or ValueError if it is none."""
    return Scene(
        task=str(value["task"]),
        seed=int(value["seed"]),
        variation=str(value["variation"]),
        positions=tuple(float(number) for number in value.get("positions", ())),
        heating=bool(value.get("heating", False)),
        temperature=None if value.get("temperature") is None else float(value["temperature"]),
    )
