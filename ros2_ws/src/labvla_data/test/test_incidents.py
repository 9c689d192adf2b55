"""Names of incidents are an interface: documented, used, and nothing else is."""

from pathlib import Path

import pytest

from labvla_data.recording import incidents as module
from labvla_data.recording.incidents import MEANINGS, Incident, as_markdown

PACKAGE = Path(module.__file__).parents[1]
DOCUMENT = Path(__file__).resolve().parents[4] / "docs" / "recording.md"


def test_every_incident_is_used():
    files = [file for file in PACKAGE.rglob("*.py") if file.name != "incidents.py"]
    text = "".join(file.read_text() for file in files)
    assert {name for name in MEANINGS if f'"{name}"' not in text} == set()


def test_the_document_has_the_table():
    assert as_markdown() in DOCUMENT.read_text()


def test_an_incident_needs_a_meaning():
    with pytest.raises(KeyError):
        Incident("just_so", "no")
