"""Shipped cell files, and copies of them with one thing changed."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from labvla_policy.runtime.cell import Cell, CellError, Problem, load_cell

SHIPPED = ("dual_arm", "dual_franka", "franka", "ur5e")

# The checkout's own files, whatever an installed workspace may still hold.
REPOSITORY = Path(__file__).resolve().parents[5]

Edit = tuple[str, str]


def path_of(name: str) -> Path:
    return REPOSITORY / "config" / "cells" / f"{name}.yaml"


def text_of(name: str) -> str:
    return path_of(name).read_text(encoding="utf-8")


def shipped(name: str) -> Cell:
    return load_cell(path_of(name))


def changed(text: str, old: str, new: str) -> str:
    """Replace the first occurrence, and insist that there is one."""
    assert old in text, f"the shipped file no longer holds {old!r}"
    return text.replace(old, new, 1)


def write(folder: Path, name: str, *edits: Edit) -> Path:
    text = text_of(name)
    for old, new in edits:
        text = changed(text, old, new)
    path = folder / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def line_of(path: Path, mark: str) -> int:
    """Line of the first occurrence of a mark, counted from 1."""
    before, found, _ = path.read_text(encoding="utf-8").partition(mark)
    assert found
    return before.count("\n") + 1


def problems_of(load: Callable[[], Cell]) -> tuple[Problem, ...]:
    with pytest.raises(CellError) as caught:
        load()
    return caught.value.problems


def only_problem(path: Path) -> Problem:
    problems = problems_of(lambda: load_cell(path))
    assert len(problems) == 1, [str(problem) for problem in problems]
    assert problems[0].file == str(path)
    return problems[0]


class Case(NamedTuple):
    """One change to a shipped file, and the one problem that it must lead to."""

    title: str
    cell: str
    old: str
    new: str
    mark: str  # text whose first occurrence is on the line of the problem
    key: str
    expected: str
    hint: str

    def check(self, folder: Path) -> None:
        path = write(folder, self.cell, (self.old, self.new))
        problem = only_problem(path)
        assert problem.key == self.key
        assert self.expected in problem.message
        assert self.hint in problem.hint
        assert problem.line == line_of(path, self.mark)
        assert str(problem).startswith(f"{path}:{problem.line}: ")
