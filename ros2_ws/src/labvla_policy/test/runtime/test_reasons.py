"""Names of refusals are an interface: documented, used, and nothing else is."""

import re
from pathlib import Path

import pytest

from labvla_policy.runtime import reasons as module
from labvla_policy.runtime.reasons import REASONS, as_markdown
from labvla_policy.runtime.refusal import Refusal, Refused, about

PACKAGE = Path(module.__file__).parents[1]  # engines and nodes refuse by these names too
DOCUMENT = Path(__file__).resolve().parents[5] / "docs" / "runtime.md"


def test_every_reason_is_used_and_every_use_is_a_reason():
    text = "".join(
        file.read_text(encoding="utf-8")
        for file in PACKAGE.rglob("*.py")
        if file.name != "reasons.py" and file.parent.name != "cell"
    )
    for reason in REASONS:
        assert f'"{reason}"' in text, f"{reason} is described and never used"
    for used in re.findall(r'(?:Refusal|_refused)\(\s*"(\w+)"', text):
        assert used in REASONS


def test_the_document_has_the_table():
    assert as_markdown() in DOCUMENT.read_text(encoding="utf-8")


def test_a_refusal_needs_a_reason_that_is_described():
    with pytest.raises(KeyError):
        Refusal("just_so", "no")


def test_a_subject_is_added_where_it_is_known():
    with pytest.raises(Refused) as refused, about("front"):
        raise Refused(Refusal("image_size", "too small"))
    assert refused.value.refusal.subject == "front"
    with pytest.raises(Refused) as refused, about("front"):
        raise Refused(Refusal("image_size", "too small", "side"))
    assert refused.value.refusal.subject == "side"
