"""Why an episode failed, in one word: decided from what judge, runtime and truth have told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from labvla_sim.evaluation.watch import Seen
from labvla_sim.scene.hot_plate import BUTTON

FAILURES = {
    "crashed": "the engine's process ended, or raised what no engine may raise",
    "engine_failed": "no plan in the last 1.5 s: the engine answered with errors, or too late",
    "refused": "no plan in the last 1.5 s, or less than one for each refusal: gate or controller "
    "refused; the figures say for what reason",
    "stopped": "no plan in the last 1.5 s although none was refused: the controller has stopped",
    "wrong_object": "another task was done, not the one that was asked for",
    "touched": "what was asked for is not there, and something else was touched",
    "toppled": "the beaker was knocked over",
    "rim_pinch": "the beaker was lifted by its rim",
    "dropped": "the beaker was held, but not for long enough",
    "tilted": "the beaker is held, but not upright",
    "not_lifted": "the beaker is held, but not high enough",
    "not_put_down": "the beaker is held, and not put down on the hot plate",
    "misplaced": "the beaker was let go, and does not stand on the hot plate with all of its foot, "
    "or was dropped there",
    "missed_grasp": "the hand came to the beaker, but never held it",
    "missed_press": "the hand came to the button, but did not push it in far enough",
    "never_reached": "the hand never came to the object",
    "timeout": "on a good way when the time was over",
}

SILENCE = 1.5  # s without a plan
# From the tool to the beaker's foot, which it grasps a hand's breadth above; to the button.
_REACHED = {BUTTON: 0.05, "beaker": 0.13}


@dataclass(frozen=True)
class Course:
    """What is known about an episode that failed."""

    reason: str  # of the judge
    events: Sequence[str]  # names, in order
    seen: Seen
    chunks: int  # that the controller has taken over
    silence: float  # s since the last one
    refused: Mapping[str, int]  # by source and reason
    task: str
    absent: bool


def category(course: Course) -> str:
    """Return which kind of failure it was."""
    return _of_the_stack(course) or _of_the_motion(course)


def _of_the_stack(course: Course) -> str:
    engine = sum(n for name, n in course.refused.items() if name.startswith("engine: "))
    others = sum(course.refused.values()) - engine
    if course.silence > SILENCE and engine > others:
        return "engine_failed"
    if others > course.chunks or (course.silence > SILENCE and others):
        return "refused"
    return "stopped" if course.silence > SILENCE else ""


def _of_the_motion(course: Course) -> str:
    seen = course.seen
    if seen.done_instead:
        return "wrong_object"
    if course.absent:
        return "touched" if any(name.endswith(" touched") for name in course.events) else "timeout"
    return _OF_TASKS[course.task](course)


def _of_pick(course: Course) -> str:
    early = _of_the_grasp(course)
    if early:
        return early
    if not _holds(course, "held"):
        return "dropped"
    if "tilted" in course.reason:
        return "tilted"
    return "not_lifted" if "mm up" in course.reason else "timeout"


def _of_transport(course: Course) -> str:
    early = _of_the_grasp(course)
    if early:
        return early
    if _holds(course, "held"):
        return "not_put_down"
    return "timeout" if _holds(course, "on the plate") else "misplaced"


def _of_the_grasp(course: Course) -> str:
    """Return what went wrong before the beaker was held as it should be, or nothing."""
    if "toppled" in course.events:
        return "toppled"
    if course.seen.pinched:
        return "rim_pinch"
    if "held" in course.events:
        return ""
    return "missed_grasp" if _reached(course.seen, "beaker") else "never_reached"


def _holds(course: Course, condition: str) -> bool:
    """Whether a condition that the judge follows holds at the end."""
    return _last(course.events, condition) < _last(course.events, f"no longer {condition}")


def _last(events: Sequence[str], name: str) -> int:
    """Return how many events came after the last one of a name."""
    return events[::-1].index(name) if name in events else len(events)


def _of_press(course: Course) -> str:
    if "plate running" in course.events:
        return "timeout"
    reached = "button touched" in course.events or _reached(course.seen, BUTTON)
    return "missed_press" if reached else "never_reached"


def _reached(seen: Seen, goal: str) -> bool:
    return seen.nearest is not None and seen.nearest < _REACHED[goal]


_OF_TASKS: Mapping[str, Callable[[Course], str]] = {
    "press": _of_press,
    "pick": _of_pick,
    "transport": _of_transport,
}


def table() -> str:
    """Return the categories as documentation shows them."""
    rows = [f"| `{name}` | {text} |" for name, text in FAILURES.items()]
    return "\n".join(["| category | meaning |", "|---|---|", *rows])


if __name__ == "__main__":
    print(table())
