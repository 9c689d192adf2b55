"""What counts as an instruction."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labvla_policy.runtime.instruction import MOST_CHARACTERS, InstructionRefused, normalise


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("pick up the beaker", "pick up the beaker"),
        ("  pick\tup\n the   beaker ", "pick up the beaker"),
        ("", ""),
        (" \n ", ""),
        ("heat to 60 °C, 试管", "heat to 60 °C, 试管"),
    ],
)
def test_white_space_carries_no_meaning(given, taken):
    assert normalise(given) == taken


def test_too_long():
    with pytest.raises(InstructionRefused, match=f"at most {MOST_CHARACTERS} characters"):
        normalise("x" * (MOST_CHARACTERS + 1))


def test_unreadable():
    with pytest.raises(InstructionRefused, match=r"\\x1b"):
        normalise("press \x1b[31m the button")


@given(st.text(max_size=MOST_CHARACTERS))
def test_taken_or_refused_and_stable(text):
    try:
        taken = normalise(text)
    except InstructionRefused:
        return
    assert normalise(taken) == taken
