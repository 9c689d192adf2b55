"""Every recorded tensor is compared: the table in golden/README.md says by which test."""

import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from golden_support import GOLDEN, VARIANTS, tensors

GIVEN = "given"  # what the others follow from
CASE = re.compile(r"^(c\d)\.")
ROW = re.compile(r"^\| (`[^|\n]+) \|" + r"([^|\n]*)\|" * 3 + r" ([^|\n]+) \|$", re.MULTILINE)


def rows():
    """Patterns of tensors, in which cases each variant has them, and who compares them."""
    found = ROW.findall((GOLDEN / "README.md").read_text(encoding="utf-8"))
    for names, *where, by in found:
        yield re.findall(r"`([^`]+)`", names), dict(zip(VARIANTS, where, strict=True)), by


def stages(variant):
    """The cases of every recorded tensor, `-` where it belongs to none."""
    found = {}
    for name in tensors(variant):
        case = CASE.match(name)
        found.setdefault(CASE.sub("", name), []).append(case[1] if case else "-")
    return found


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_recorded_tensor_is_in_the_table(variant):
    table = list(rows())
    recorded = stages(variant)
    for stage, cases in recorded.items():
        covering = [row for row in table if any(fnmatchcase(stage, name) for name in row[0])]
        assert len(covering) == 1, (stage, covering)
        assert covering[0][1][variant].split() == sorted(cases), stage
    for names, where, _ in table:
        present = any(fnmatchcase(stage, name) for stage in recorded for name in names)
        assert present == bool(where[variant].strip()), names


def test_the_table_names_tests_that_exist():
    folder = Path(__file__).parent
    sources = "\n".join(file.read_text(encoding="utf-8") for file in folder.glob("test_golden_*"))
    tests = set(re.findall(r"^def (test_\w+)\(", sources, flags=re.MULTILINE))
    for names, _, by in rows():
        wanted = set(re.findall(r"`(test_\w+)`", by))
        assert wanted or by == GIVEN, names
        assert wanted <= tests, (names, wanted - tests)
