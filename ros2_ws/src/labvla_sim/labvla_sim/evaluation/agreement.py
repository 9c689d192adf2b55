"""Two evaluations of the same episodes: whether they say the same, episode by episode."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from labvla_data.json_files import JsonFileError, read_json, read_lines
from labvla_sim.evaluation.ledger import ASKED, EPISODES
from labvla_sim.evaluation.record import Record
from labvla_sim.evaluation.suite import EvaluationError

_SAME = ("suite", "engine", "options", "checkpoint", "cell_hash")  # else nothing is comparable


class Other:
    """The episodes of another evaluation."""

    def __init__(self, folder: Path, asked: Mapping[str, Any]) -> None:
        """Read them; raise EvaluationError where they belong to another question."""
        self.folder = folder
        try:
            found, lines = read_json(folder / ASKED), read_lines(folder / EPISODES)
        except JsonFileError as error:
            raise EvaluationError(f"--against: expected an evaluation's folder: {error}") from None
        different = [name for name in _SAME if found.get(name) != asked[name]]
        if different:
            raise EvaluationError(
                f"--against: {folder} has another {different[0]}: expected "
                f"{asked[different[0]]!r}, got {found.get(different[0])!r}"
            )
        self.path = found["path"]
        self._records: dict[str, Record] = {record["key"]: record for record in lines}

    def agreement(self, records: Iterable[Record]) -> dict[str, Any]:
        """Return how often both say the same about episodes that both have played."""
        pairs = [(one, self._records[one["key"]]) for one in records if one["key"] in self._records]
        return {
            "folder": str(self.folder),
            "path": self.path,
            "n": len(pairs),
            "both": sum(one["success"] and other["success"] for one, other in pairs),
            "neither": sum(not one["success"] and not other["success"] for one, other in pairs),
            "only_here": [one["key"] for one, other in pairs if one["success"] > other["success"]],
            "only_there": [one["key"] for one, other in pairs if one["success"] < other["success"]],
            "same_failure": sum(
                one["failure"] == other["failure"] for one, other in pairs if one["failure"]
            ),
            "seconds_apart": _apart(pairs),  # s, median over what both have done
        }


def _apart(pairs: Iterable[tuple[Record, Record]]) -> float | None:
    apart = [
        abs(one["seconds"] - other["seconds"])
        for one, other in pairs
        if one["success"] and other["success"]
    ]
    return round(median(apart), 3) if apart else None
