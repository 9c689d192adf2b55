"""Instructions in other words: templates from a file, for a policy that shall know a language.

A file is a list of tasks:

    - instructions: ["Press the start button", …]     as the dataset has them
      templates: ["{press} {the} {button}", …]
      words: {press: [press, push], the: [the, ""], …}
    - never: ["Push the button to start heating"]      kept for evaluation
    - include: press_pick.yaml                         all that stands in another file beside it
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from labvla_train.errors import TrainError

_PLACE = re.compile(r"\{(\w+)\}")
_DEEPEST = 8  # places within places
_TRIES = 100


@dataclass(frozen=True)
class _Task:
    templates: tuple[str, ...]
    words: Mapping[str, tuple[str, ...]]


class Wordings:
    """Says instructions otherwise."""

    def __init__(self, tasks: Mapping[str, _Task], never: frozenset[str]) -> None:
        self._tasks, self._never = tasks, never

    @property
    def instructions(self) -> frozenset[str]:
        """The instructions, in normal form, that can be said otherwise."""
        return frozenset(self._tasks)

    def vocabulary(self) -> Iterator[str]:
        """Yield every word there is, some of them more than once."""
        for task in self._tasks.values():
            for text in (*task.templates, *(w for words in task.words.values() for w in words)):
                yield from normal(_PLACE.sub(" ", text)).split()

    def another(self, instruction: str, chance: np.random.Generator) -> str:
        """Return other words for an instruction; itself where none are known."""
        task = self._tasks.get(normal(instruction))
        if task is None:
            return instruction
        for _ in range(_TRIES):
            text = " ".join(_filled(_one(task.templates, chance), task.words, chance).split())
            if normal(text) not in self._never:
                return text
        raise TrainError(f"wordings for {instruction!r}: nearly all of them are in `never`")


def normal(text: str) -> str:
    """Return a text without capitals, punctuation and needless spaces."""
    return " ".join(re.sub(r"[^\w\s]", " ", text.lower()).split())


def read_wordings(path: Path) -> Wordings:
    """Read a file, and those that it includes."""
    tasks: dict[str, _Task] = {}
    never: set[str] = set()
    for entry, where in _entries(path, ()):
        if set(entry) == {"never"}:
            never |= {normal(text) for text in _texts(entry, "never", where)}
            continue
        task = _task(entry, where)
        tasks |= {normal(text): task for text in _texts(entry, "instructions", where)}
    return Wordings(tasks, frozenset(never))


def _entries(path: Path, around: tuple[Path, ...]) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Yield what stands in a file, and where; what it includes in the place of the entry."""
    if path in around:
        raise TrainError(f"{path}: includes itself")
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise TrainError(f"{path}: cannot be read as YAML: {error}") from None
    if not isinstance(entries, list):
        raise TrainError(f"{path}: expected a list of tasks, got {type(entries).__name__}")
    for number, entry in enumerate(entries):
        where = f"{path}: entry {number}"
        if not isinstance(entry, dict):
            raise TrainError(f"{where}: expected instructions, templates and words, got {entry!r}")
        if set(entry) != {"include"}:
            yield entry, where
            continue
        if not isinstance(entry["include"], str):
            raise TrainError(f"{where}: include: expected a file's name, got {entry['include']!r}")
        yield from _entries(path.parent / entry["include"], (*around, path))


def _task(entry: Mapping[str, Any], where: str) -> _Task:
    unknown = sorted(set(entry) - {"instructions", "templates", "words"})
    if unknown:
        raise TrainError(f"{where}: {unknown[0]}: expected instructions, templates and words")
    words = entry.get("words") or {}
    if not isinstance(words, dict):
        raise TrainError(f"{where}: words: expected lists by name, got {words!r}")
    read = {str(name): tuple(_texts(words, name, f"{where}: words")) for name in words}
    templates = tuple(_texts(entry, "templates", where))
    for text in (*templates, *(word for several in read.values() for word in several)):
        for name in _PLACE.findall(text):
            if name not in read:
                raise TrainError(f"{where}: {text!r}: no words are given for {name}")
    return _Task(templates, read)


def _texts(entry: Mapping[str, Any], key: str, where: str) -> list[str]:
    found = entry.get(key)
    if not isinstance(found, list) or not found or any(not isinstance(t, str) for t in found):
        raise TrainError(f"{where}: {key}: expected a list of texts, got {found!r}")
    return found


def _filled(
    text: str, words: Mapping[str, tuple[str, ...]], chance: np.random.Generator, depth: int = 0
) -> str:
    if depth > _DEEPEST:
        raise TrainError(f"wordings: {text!r}: its words lead to themselves")
    return _PLACE.sub(
        lambda place: _filled(_one(words[place[1]], chance), words, chance, depth + 1), text
    )


def _one(texts: Sequence[str], chance: np.random.Generator) -> str:
    return texts[int(chance.integers(len(texts)))]
