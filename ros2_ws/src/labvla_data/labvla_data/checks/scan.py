"""`scan`: which episodes should not be trained on, and why."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from labvla_data.checks.detectors import DETECTORS
from labvla_data.checks.findings import Detector, Finding, Look, Overview, ScanSettings
from labvla_data.dataset.errors import DatasetError
from labvla_data.dataset.layout import INFO
from labvla_data.dataset.reader import Dataset, open_dataset
from labvla_data.json_files import JsonFileError, read_lines
from labvla_data.parallel import Progress, run_parallel, silent

DEFAULTS = ScanSettings()

Record = dict[str, Any]  # what one episode's look brought, as JSON


@dataclass(frozen=True)
class _Task:
    folder: Path
    episode: int
    detectors: tuple[str, ...]
    settings: ScanSettings


def scan(
    folder: Path,
    detectors: Sequence[str] = tuple(DETECTORS),
    settings: ScanSettings = DEFAULTS,
    *,
    workers: int | None = None,
    progress: Progress = silent,
    journal: Path | None = None,
) -> dict[str, Any]:
    """Examine a dataset; return the report.

    Args:
        folder: of the dataset.
        detectors: which of `DETECTORS` to use.
        settings: what counts as wrong.
        workers: processes; one for each core if not given.
        progress: hears how many episodes are done.
        journal: a file that keeps what is done, so that an interrupted scan goes on from there.
    """
    unknown = [name for name in detectors if name not in DETECTORS]
    if unknown:
        raise DatasetError(
            f"expected detectors of {', '.join(DETECTORS)}; got {', '.join(unknown)}"
        )
    dataset = open_dataset(folder)
    notes = _Journal(journal, _signature(dataset, detectors, settings))
    done: dict[int, Record] = notes.kept
    tasks = [
        _Task(folder, entry.index, tuple(detectors), settings)
        for entry in dataset.entries
        if entry.index not in done
    ]
    before, whole = len(done), len(dataset)
    told = _offset(progress, before, whole)
    for task, record in run_parallel(_examine, tasks, workers, told):
        done[task.episode] = record
        notes.add(task.episode, record)
    report = _report(dataset, [DETECTORS[name] for name in detectors], done, settings)
    notes.remove()
    return report


def _offset(progress: Progress, before: int, whole: int) -> Progress:
    return lambda done, _all: progress(before + done, whole)


@lru_cache(maxsize=1)
def _opened(folder: Path) -> Dataset:
    return open_dataset(folder)


def _examine(task: _Task) -> Record:
    """Look at one episode; runs in a worker."""
    dataset = _opened(task.folder)
    episode = dataset.episode(task.episode)
    record: Record = {}
    for name in task.detectors:
        try:
            look = DETECTORS[name].look(episode, dataset, task.settings)
        except DatasetError as error:
            look = Look()
            look.find("unreadable", error=str(error))
        record[name] = {
            "findings": [finding.as_json() for finding in look.findings],
            "facts": look.facts,
        }
    return record


def _report(
    dataset: Dataset,
    detectors: Iterable[Detector],
    records: Mapping[int, Record],
    settings: ScanSettings,
) -> dict[str, Any]:
    reasons: dict[int, list[dict[str, Any]]] = {}
    warnings: dict[int, list[dict[str, Any]]] = {}
    incompatible: list[str] = []
    summaries: dict[str, Any] = {}
    orphans: list[int] = []
    for detector in detectors:
        found = {number: _findings(record, detector.name) for number, record in records.items()}
        facts = {number: record[detector.name]["facts"] for number, record in records.items()}
        overview: Overview = detector.overview(dataset, facts, settings)
        for number, more in overview.episodes.items():
            found.setdefault(number, []).extend(more)
        incompatible += overview.incompatible
        bad: set[int] = set()
        counts = {True: 0, False: 0}
        for number, findings in sorted(found.items()):
            for finding in findings:
                counts[finding.warning] += 1
                entry = {
                    "detector": detector.name,
                    "kind": finding.kind,
                    "detail": dict(finding.detail),
                }
                if finding.kind == "orphan_stats_entry":
                    orphans.append(number)
                (warnings if finding.warning else reasons).setdefault(number, []).append(entry)
                if not finding.warning:
                    bad.add(number)
        summaries[detector.name] = {
            "n_bad": len(bad),
            "n_reasons": counts[False],
            "n_warnings": counts[True],
            "extra": overview.extra,
        }
    return {
        "root": str(dataset.folder),
        "total_episodes": len(dataset),
        "bad_episodes": sorted(reasons),
        "per_episode_reasons": {str(number): reasons[number] for number in sorted(reasons)},
        "per_episode_warnings": {str(number): warnings[number] for number in sorted(warnings)},
        "orphan_stats_episodes": sorted(orphans),
        "dataset_incompatible": bool(incompatible),
        "dataset_incompatible_reasons": incompatible,
        "detector_summaries": summaries,
    }


def _findings(record: Record, name: str) -> list[Finding]:
    return [Finding(**finding) for finding in record[name]["findings"]]


def _signature(dataset: Dataset, detectors: Sequence[str], settings: ScanSettings) -> str:
    """Return what a journal must agree with to be gone on with."""
    info = (dataset.folder / INFO).stat()
    asked = [str(dataset.folder.resolve()), info.st_mtime_ns, list(detectors), asdict(settings)]
    return sha256(json.dumps(asked).encode()).hexdigest()


class _Journal:
    """Episodes that are done, one a line; the first line says what was asked."""

    def __init__(self, path: Path | None, signature: str) -> None:
        self._path = path
        self.kept: dict[int, Record] = {}
        if path is None:
            return
        try:
            head, *lines = read_lines(path) if path.exists() else [{}]
            if head.get("signature") == signature:
                self.kept = {int(line["episode"]): line["record"] for line in lines}
        except (JsonFileError, AttributeError, KeyError, TypeError, ValueError):
            self.kept = {}  # its writer was killed in the midst of a line: begin anew
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("w")
        self._write({"signature": signature})
        for episode, record in self.kept.items():
            self.add(episode, record)

    def add(self, episode: int, record: Record) -> None:
        """Keep an episode's record."""
        if self._path is not None:
            self._write({"episode": episode, "record": record})

    def _write(self, line: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()

    def remove(self) -> None:
        """Delete the journal: the report says it all."""
        if self._path is not None:
            self._file.close()
            self._path.unlink()
