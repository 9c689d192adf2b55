"""Names of refusals are part of the protocol: documented, used, and nothing else is."""

import re
from pathlib import Path

import pytest

from labvla_policy.serving import reasons
from labvla_policy.serving.reasons import REASONS, RequestRefused, as_markdown

PACKAGE = Path(reasons.__file__).parent
DOCUMENT = Path(__file__).resolve().parents[5] / "docs" / "serving.md"


def test_every_reason_is_used_and_every_use_is_a_reason():
    files = [file for file in PACKAGE.glob("*.py") if file.name != "reasons.py"]
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    for reason in REASONS:
        assert f'"{reason}"' in text, f"{reason} is described and never used"
    for used in re.findall(r'RequestRefused\(\s*"(\w+)"', text):
        assert used in REASONS


def test_the_document_has_the_table():
    assert as_markdown() in DOCUMENT.read_text(encoding="utf-8")


def test_a_refusal_needs_a_reason_that_is_described():
    with pytest.raises(KeyError):
        RequestRefused("just_so", "no")
