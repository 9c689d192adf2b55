"""What the recorder tells about on labvla/events: names that others match on."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from math import nan


class Severity(enum.IntEnum):
    """As in SafetyEvent; nothing here ever stops a motion."""

    INFO = 0
    LIMITED = 1
    REFUSED = 2


@dataclass(frozen=True)
class Meaning:
    """What an incident means to the person who reads it; docs/recording.md has the table."""

    severity: Severity
    meaning: str
    remedy: str


MEANINGS: dict[str, Meaning] = {
    "disk_low": Meaning(
        Severity.REFUSED,
        "too little room: no episode begins, and a running one is ended and kept",
        "make room, or name another data directory",
    ),
    "write_failed": Meaning(
        Severity.REFUSED,
        "the file could not be written; the episode was ended with what is safe",
        "look at the disk; the message says what the system said",
    ),
    "writer_behind": Meaning(
        Severity.LIMITED,
        "the disk is slower than the cell for so long that messages had to be dropped",
        "a faster disk, compressed images, or a larger `memory`",
    ),
    "messages_lost": Meaning(
        Severity.INFO,
        "messages of a topic did not arrive, or were never sent, during an episode",
        "machine or network overloaded, or a failing driver; the ledger says which",
    ),
    "stream_silent": Meaning(
        Severity.REFUSED,
        "a camera or the joint states do not come: no episode begins",
        "start the driver; compare its topic with the cell",
    ),
    "bag_repaired": Meaning(
        Severity.INFO,
        "an episode that was interrupted is readable again",
        "its episode.json says what is missing",
    ),
    "repair_failed": Meaning(
        Severity.INFO,
        "an interrupted episode could not be repaired; it was left as it is",
        "the message says why; `labvla record --repair BAG` tries again",
    ),
}


@dataclass(frozen=True)
class Incident:
    """Something that a person should know."""

    reason: str  # out of MEANINGS
    detail: str  # what was expected, what came, what to do
    subject: str = ""  # topic or episode concerned
    value: float = nan
    limit: float = nan

    def __post_init__(self) -> None:
        if self.reason not in MEANINGS:
            raise KeyError(f"{self.reason!r} is not described in incidents.py")

    @property
    def severity(self) -> Severity:
        """How bad it is."""
        return MEANINGS[self.reason].severity


def as_markdown() -> str:
    """Return all incidents as a table."""
    lines = ["| reason | meaning | what to do |", "|---|---|---|"]
    lines += [f"| `{name}` | {m.meaning} | {m.remedy} |" for name, m in MEANINGS.items()]
    return "\n".join(lines) + "\n"
