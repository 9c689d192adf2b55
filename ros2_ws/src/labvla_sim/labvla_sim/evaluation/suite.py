"""What a policy is judged on, as data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from labvla_sim.tasks.variation import VariationName

Kind = Literal["id", "ood", "check", "ablation"]


class EvaluationError(ValueError):
    """The evaluation that was asked for makes no sense; the text says why."""


@dataclass(frozen=True)
class Condition:
    """In what the policy is put, and what of it the policy gets to know."""

    name: str
    kind: Kind
    variation: VariationName
    meaning: str
    sees: bool = True
    hears: bool = True


@dataclass(frozen=True)
class Suite:
    """Tasks and conditions that belong together."""

    name: str
    tasks: tuple[str, ...]
    conditions: tuple[Condition, ...]

    def condition(self, name: str) -> Condition:
        """Return a condition by name."""
        return next(condition for condition in self.conditions if condition.name == name)

    def chosen(self, words: Iterable[str]) -> tuple[Condition, ...]:
        """Return the conditions that are named, alone or by their kind, in the suite's order."""
        wanted = set(words)
        names, kinds = [one.name for one in self.conditions], [one.kind for one in self.conditions]
        unknown = sorted(wanted - {*names, *kinds, EVERYTHING})
        if unknown or not wanted:
            raise EvaluationError(
                f"expected conditions of suite {self.name} ({', '.join(names)}), kinds of them "
                f"({', '.join(dict.fromkeys(kinds))}) or {EVERYTHING}, got "
                f"{', '.join(map(repr, unknown)) or 'none'}"
            )
        return tuple(one for one in self.conditions if wanted & {one.name, one.kind, EVERYTHING})


EVERYTHING = "all"  # conditions

_LAB = (
    Condition("id", "id", "id", "held-out seeds of what training shows"),
    Condition("layout", "ood", "ood_layout", "the object outside of its usual region, up to 5 cm"),
    Condition("looks", "ood", "ood_looks", "unseen colours of bench, devices, glass; unseen light"),
    Condition("camera", "ood", "ood_camera", "cameras up to 2 cm and 2° per axis off their pose"),
    Condition("wording", "ood", "ood_wording", "instructions in words that training never uses"),
    Condition("clutter", "ood", "ood_clutter", "two things on the bench that training never shows"),
    Condition("together", "check", "ood", "all of these, wider still, at once"),
    Condition("swap", "check", "swapped", "a scene of another task's `id` with this task's words"),
    Condition(
        "absent", "check", "absent", "what is asked for is not there: nothing may be touched"
    ),
    Condition("no_pictures", "ablation", "id", "every picture is grey", sees=False),
    Condition("no_words", "ablation", "id", "every instruction is the same", hears=False),
)

SUITES: dict[str, Suite] = {
    suite.name: suite
    for suite in (
        Suite("lab2", ("press", "pick"), _LAB),
        Suite("lab3", ("press", "pick", "transport"), _LAB),
    )
}


def suite_of(name: str) -> Suite:
    """Return a suite by name."""
    if name not in SUITES:
        raise EvaluationError(f"suite: expected one of {', '.join(SUITES)}, got {name!r}")
    return SUITES[name]


def table(conditions: Sequence[Condition] = _LAB) -> str:
    """Return the conditions as documentation shows them."""
    rows = [f"| `{one.name}` | {one.kind} | {one.meaning} |" for one in conditions]
    return "\n".join(["| condition | kind | |", "|---|---|---|", *rows])


if __name__ == "__main__":
    print(table())
