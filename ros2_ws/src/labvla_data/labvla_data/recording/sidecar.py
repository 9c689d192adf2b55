"""`episode.json`: what a bag cannot say about itself."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from labvla_data.files import replace_text
from labvla_policy.runtime.types import NANOSECONDS

FILE = "episode.json"
FORMAT = "labvla.episode.1"

RECORDING = "recording"  # or what is left when the recorder was killed
FINISHED = "finished"
REPAIRED = "repaired"

OUTCOMES = ("unknown", "success", "failure")


@dataclass(frozen=True)
class Wish:
    """What the operator says at the start."""

    instruction: str = ""
    operator: str = ""
    notes: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Circumstances:
    """What the cell says at the start."""

    cell: str = ""
    cell_hash: str = ""
    contract_hash: str = ""
    instruction: str = ""  # the one that is set
    protocol_step: str = ""
    engine: str = ""
    policy: str = ""  # engine and checkpoint
    scheduling: str = ""
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Intervention:
    """A time in which somebody else than the policy moved the arms."""

    owner: str
    begin: int  # ns
    end: int | None = None


@dataclass(frozen=True)
class Sidecar:
    """Everything in episode.json."""

    episode_id: str
    bag: str  # name of the MCAP file
    cell_file: str  # name of the copy of the cell's description
    begin: int  # ns
    wish: Wish
    circumstances: Circumstances
    # What `begin`, `end`, the times in the bag and the rates in the ledger are told on: system, or,
    # in lock-step, simulated.
    clock: str = "system"
    system_begin: int = 0  # ns, by the machine's clock whatever `clock` says
    system_end: int | None = None
    state: str = RECORDING
    end: int | None = None
    ended_by: str = ""  # operator, or the incident that ended it
    outcome: str = "unknown"
    closing_notes: str = ""
    safe_until: int | None = None  # ns: everything that arrived before is safe on the disk
    ledger: dict[str, dict[str, Any]] = field(default_factory=dict)
    interventions: tuple[Intervention, ...] = ()
    repairs: tuple[dict[str, Any], ...] = ()

    @property
    def duration(self) -> float:
        """Length in seconds, as far as known."""
        end = self.end if self.end is not None else self.safe_until
        return (end - self.begin) / NANOSECONDS if end is not None else 0.0

    def completed(self, instruction: str, later: Circumstances | None) -> Sidecar:
        """Return the episode with what became known only after its start."""
        wish = self.wish
        if not wish.instruction:
            wish = replace(wish, instruction=instruction)
        known = {name: value for name, value in asdict(self.circumstances).items() if value}
        circumstances = replace(later or self.circumstances, **known)
        return replace(self, wish=wish, circumstances=circumstances)

    def ended(self, end: int, by: str, **changes: Any) -> Sidecar:
        """Return the episode as it ended."""
        return replace(self, state=FINISHED, end=end, ended_by=by, **changes)

    def text(self) -> str:
        """Return the text of the file."""
        value = {
            "format": FORMAT,
            **asdict(self),
            "duration": round(self.duration, 3),
            "date": datetime.fromtimestamp(
                (self.system_begin or self.begin) / NANOSECONDS, UTC
            ).isoformat(),
        }
        return json.dumps(value, indent=2, ensure_ascii=False) + "\n"

    def save(self, folder: Path, durable: bool = True) -> None:
        """Write the file into the episode's folder."""
        replace_text(folder / FILE, self.text(), durable)


def load(folder: Path) -> Sidecar | None:
    """Return an episode's sidecar; None where there is none that can be read."""
    try:
        value = json.loads((folder / FILE).read_text())
        if value.pop("format") != FORMAT:
            return None
        del value["duration"], value["date"]
        wish, circumstances = value.pop("wish"), value.pop("circumstances")
        interventions = value.pop("interventions")
        repairs = value.pop("repairs")
        return Sidecar(
            wish=Wish(**{**wish, "tags": tuple(wish["tags"])}),
            circumstances=Circumstances(**circumstances),
            interventions=tuple(Intervention(**one) for one in interventions),
            repairs=tuple(repairs),
            **value,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
