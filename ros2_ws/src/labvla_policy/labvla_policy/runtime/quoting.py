"""What strangers send, as an event or a log may quote it."""

LONGEST = 300  # characters


def quoted(text: object, most: int = LONGEST) -> str:
    """Return a text short, on one line, and without anything that moves a terminal's cursor."""
    shown = str(text)[:most]
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in shown)
