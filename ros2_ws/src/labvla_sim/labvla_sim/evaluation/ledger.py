"""The folder of an evaluation: what was asked, and every episode as soon as it has ended."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from labvla_data.files import replace_text
from labvla_data.json_files import JsonFileError, as_text, read_json
from labvla_sim.evaluation.record import Record
from labvla_sim.evaluation.suite import EvaluationError

ASKED, EPISODES = "asked.json", "episodes.jsonl"


class Ledger:
    """Episodes that are done. The same question goes on where it was interrupted."""

    def __init__(self, folder: Path, asked: Mapping[str, Any]) -> None:
        self.folder = folder
        self._episodes = folder / EPISODES
        _claim(folder, asked)
        self._records = {record["key"]: record for record in self._read()}

    @property
    def records(self) -> Mapping[str, Record]:
        """All that is known, by the key of the job."""
        return self._records

    def add(self, record: Record) -> None:
        """Note an episode at once."""
        with self._episodes.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._records[record["key"]] = record

    def forget(self, keys: Iterable[str]) -> None:
        """Have episodes played again."""
        for key in keys:
            self._records.pop(key, None)

    def _read(self) -> Iterable[Record]:
        """Read the episodes; one that was being written when the power went is none."""
        if not self._episodes.exists():
            return
        text = self._episodes.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]
        if whole != text:
            replace_text(self._episodes, whole)
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                record = json.loads(line)
                record["key"]
            except (json.JSONDecodeError, KeyError, TypeError) as error:
                raise EvaluationError(
                    f"{self._episodes}:{number}: expected an episode's record: {error}; "
                    "delete the line or the folder"
                ) from None
            yield record


def _claim(folder: Path, asked: Mapping[str, Any]) -> None:
    """Note for whom the folder is; refuse to mix one evaluation with another."""
    path = folder / ASKED
    if folder.exists() and not folder.is_dir():
        raise EvaluationError(f"{folder}: expected a folder or nothing, it is a file")
    if path.is_file():
        if (folder / EPISODES).exists():  # else nothing has come of it, and it may be corrected
            _compare(folder, _asked(path), asked)
    elif folder.is_dir() and any(folder.iterdir()):
        raise EvaluationError(
            f"{folder}: exists already, and is no evaluation's: choose another folder"
        )
    folder.mkdir(parents=True, exist_ok=True)
    replace_text(path, as_text(dict(asked)))


def _asked(path: Path) -> Mapping[str, Any]:
    try:
        found: Mapping[str, Any] = read_json(path)
    except JsonFileError as error:
        raise EvaluationError(str(error)) from None
    return found


def _compare(folder: Path, found: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    other = [
        f"{key} {found.get(key)!r}, asked for {value!r}"
        for key, value in asked.items()
        if found.get(key) != value
    ]
    if other:
        raise EvaluationError(
            f"{folder}: holds another evaluation: {'; '.join(other)}. Ask for the same again, "
            "choose another folder (--out), or delete it first"
        )
