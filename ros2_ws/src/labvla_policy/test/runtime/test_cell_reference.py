"""The document says what the dataclasses say."""

import pytest
from cell_support import REPOSITORY, SHIPPED, text_of

from labvla_policy.runtime.cell.reference import reference, renewed

DOCUMENT = REPOSITORY / "docs" / "cells.md"


def test_the_document_is_current() -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    assert renewed(document) == document, (
        "run: python -m labvla_policy.runtime.cell.reference --update docs/cells.md"
    )


def test_every_key_of_the_shipped_files_is_in_the_reference() -> None:
    text = reference()
    for cell in SHIPPED:
        for line in text_of(cell).splitlines():
            name, colon, _ = line.strip().removeprefix("- ").partition(":")
            if colon and not line.strip().startswith(("#", "- {", "{")):
                assert f"| `{name}` |" in text, f"{cell}: {name}"


def test_a_document_without_the_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="expected the lines"):
        renewed("# Cells\n")
