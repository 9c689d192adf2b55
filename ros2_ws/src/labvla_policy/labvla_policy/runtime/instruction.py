"""What counts as an instruction."""

MOST_CHARACTERS = 2000  # a long protocol sentence has 300; what is longer was not meant for a robot


class InstructionRefused(ValueError):
    """Not an instruction; the text says why."""


def normalise(text: str) -> str:
    """Return the instruction as the policy gets it, or refuse it; empty stays empty."""
    if len(text) > MOST_CHARACTERS:
        raise InstructionRefused(
            f"expected at most {MOST_CHARACTERS} characters, got {len(text)}: "
            "give one step at a time"
        )
    words = text.split()
    unprintable = next((c for word in words for c in word if not c.isprintable()), None)
    if unprintable is not None:
        raise InstructionRefused(f"expected readable text, got the character {unprintable!r}")
    return " ".join(words)
