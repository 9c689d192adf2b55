"""What is wrong with a cell file, told so that one screen is enough to repair it."""

import difflib
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SCREEN_LINES = 24
SCREEN_COLUMNS = 100
LONGEST_QUOTE = 60


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing to repair: where it is, what was expected and what came."""

    file: str
    message: str
    line: int | None = None
    key: str = ""
    hint: str = ""

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        head = ": ".join(part for part in (place, self.key, self.message) if part)
        return f"{head}\n    hint: {self.hint}" if self.hint else head


class CellError(Exception):
    """A cell cannot be used; `problems` lists everything found, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        blocks = [_wrapped(problem) for problem in self.problems]
        total = len(blocks)
        lines = [f"{total} problem{'' if total == 1 else 's'}; nothing was started"]
        room = SCREEN_LINES - len(lines) - 1  # the last line says how many did not fit
        shown = 0
        for block in blocks:
            if shown and len(block) > room:
                break
            lines += block[:room]
            room -= len(block)
            shown += 1
        if shown < total:
            lines.append(f"and {total - shown} more")
        return "\n".join(lines)


def _wrapped(problem: Problem) -> list[str]:
    lines: list[str] = []
    for text in str(problem).splitlines():
        indent = " " * (10 if text.startswith(" ") else 4)
        lines += textwrap.wrap(
            text, SCREEN_COLUMNS, subsequent_indent=indent, break_on_hyphens=False
        )
    return lines


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a hint that names the closest known word, or all of them when none is close."""
    candidates = sorted(known)
    if close := closest(word, candidates):
        return f"did you mean '{close}'?"
    return f"known here: {', '.join(candidates)}" if candidates else ""


def closest(word: str, known: Sequence[str]) -> str | None:
    """Return the known word most like `word`, or None when nothing resembles it."""
    matches = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return matches[0] if matches else None


def quoted(text: str) -> str:
    """Quote what the user wrote, shortened and on one line: a file may hold anything."""
    flat = text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
    if len(flat) > LONGEST_QUOTE:
        flat = flat[: LONGEST_QUOTE - 1] + "…"
    return f"'{flat}'"
