"""One bag becomes one episode, or several where it is split, or a refusal with its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from labvla_data.dataset import ACTION, IMAGES, STATE, Column, Features, Picture
from labvla_data.dataset.features import INTERVENTION, STAMPS
from labvla_data.dataset.parts import DatasetSpec, Part, PartWriter
from labvla_data.export.commands import ActionSource, Target
from labvla_data.export.notes import Notes, take_notes
from labvla_data.export.playback import Comparison, Playback, Row, row_times, usual_age
from labvla_data.export.reasons import Refused
from labvla_data.export.source import Source, source_of
from labvla_data.files import replace_text
from labvla_data.json_files import JsonFileError, as_text, read_json
from labvla_policy.runtime.cell import Cell
from labvla_policy.runtime.columns import policy_columns
from labvla_policy.runtime.refusal import Refusal
from labvla_policy.runtime.types import NANOSECONDS, Observation

SHORTEST = 0.5  # s
_LISTED = 20  # differences that a report names one by one


@dataclass(frozen=True)
class Wishes:
    """What the user wants of every episode."""

    actions: ActionSource = "commanded"
    task: str = ""  # instead of what was recorded
    include_failures: bool = False
    split: bool = False  # at moments without an observation


@dataclass(frozen=True)
class Job:
    """What one worker needs to know."""

    bag: Path
    cell: Cell | None
    spec: DatasetSpec
    wishes: Wishes
    folder: Path  # of the parts
    key: str

    @property
    def note(self) -> Path:
        """The file that says that this bag is done."""
        return self.folder / f"{self.key}.json"


@dataclass
class Quality:
    """What became of an episode's moments."""

    rows: int = 0
    trimmed: int = 0  # at either end
    refused: Counter[str] = field(default_factory=Counter)  # moments, by reason
    repeated: Counter[str] = field(
        default_factory=Counter
    )  # rows with the picture before, by camera
    hashes: Counter[str] = field(default_factory=Counter)  # equal, different, missing
    differences: list[dict[str, Any]] = field(default_factory=list)
    interventions: int = 0  # rows

    def compare(self, found: Comparison) -> None:
        """Count a comparison with what the policy node has used."""
        self.hashes[found.verdict] += 1
        if found.verdict != "equal" and len(self.differences) < _LISTED:
            self.differences.append(
                {
                    "sequence": found.used.sequence,
                    "verdict": found.verdict,
                    "detail": found.detail,
                }
            )

    def as_json(self) -> dict[str, Any]:
        """Return it as it stands in a report."""
        return {
            "rows": self.rows,
            "trimmed": self.trimmed,
            "refused_moments": dict(self.refused),
            "repeated": {camera: count for camera, count in self.repeated.items() if count},
            "hashes": dict(self.hashes),
            "differences": self.differences,
            "interventions": self.interventions,
        }


def features_of(cell: Cell) -> Features:
    """Return what every frame holds that is exported from a cell."""
    names = tuple(name or f"unused_{column}" for column, name in enumerate(cell.column_names))
    cameras = cell.policy_cameras
    return {
        STATE: Column("float32", names),
        ACTION: Column("float32", names),
        STAMPS: Column("int64", ("state", *(camera.name for camera in cameras))),
        INTERVENTION: Column("bool", (INTERVENTION,)),
        **{IMAGES + camera.name: Picture(camera.height, camera.width) for camera in cameras},
    }


def export_bag(job: Job) -> dict[str, Any]:
    """Export one bag; what it returns is also kept beside the parts, for a run that goes on."""
    done = _done_before(job)
    if done is not None:
        return done
    try:
        source = source_of(job.bag, job.cell)
        _check_wishes(source, job.wishes)
        result = _Exporter(job, source, take_notes(source, job.wishes.actions)).run()
    except Refused as refused:
        result = {"parts": [], "refused": refused.as_json()}
    result = {"bag": str(job.bag), **result}
    replace_text(job.note, as_text(result))
    return result


def _done_before(job: Job) -> dict[str, Any] | None:
    try:
        kept: dict[str, Any] = read_json(job.note)
    except JsonFileError:
        return None
    whole = all((job.folder / part).is_dir() for part in kept.get("parts", ()))
    return kept if whole and "bag" in kept else None


def _check_wishes(source: Source, wishes: Wishes) -> None:
    sidecar = source.sidecar
    if sidecar is not None and sidecar.outcome == "failure" and not wishes.include_failures:
        raise Refused("outcome", sidecar.closing_notes or "no reason was noted")


class _Exporter:
    """Writes the rows of one bag."""

    def __init__(self, job: Job, source: Source, notes: Notes) -> None:
        self._job, self._source, self._notes = job, source, notes
        self._cell = source.cell
        self._dt = NANOSECONDS / job.spec.fps
        self._quality = Quality()
        self._part: PartWriter | None = None
        self._parts: list[Part] = []
        self._age = 0  # ns
        self._waiting = 0  # refused moments since the last row
        self._first_gap: tuple[int, str] | None = None
        self._shown: Mapping[str, int] = {}
        self._begin = 0  # ns, of the part that is being written

    def run(self) -> dict[str, Any]:
        """Export; return what became of it."""
        times = row_times(self._notes, self._job.spec.fps)
        self._age = usual_age(self._notes, times)
        used = [] if self._source.jpeg else self._notes.used
        try:
            for found in Playback(self._source, self._notes).run(times, used):
                if isinstance(found, Comparison):
                    self._quality.compare(found)
                else:
                    self._take(found, times[0])
            self._close()
        except BaseException:
            if self._part is not None:
                self._part.abandon()
            raise
        self._quality.trimmed += self._waiting
        if not self._parts:
            self._refuse_empty()
        return {
            "parts": [part.folder.name for part in self._parts],
            "refused": None,
            "episode_id": self._source.name,
            "actions": self._notes.commands.name,
            "hashes_compared": not self._source.jpeg,
            **self._quality.as_json(),
            "lost": self._lost(),
        }

    def _take(self, row: Row, begin: int) -> None:
        frame, text, problem, detail = None, "", "", ""
        if isinstance(row.seen, Refusal):
            about = f"{row.seen.subject}: " if row.seen.subject else ""
            problem, detail = row.seen.reason, about + row.seen.detail
        else:
            text = self._instruction(row.seen.stamp)
            target = self._target(row.t)
            if not text:
                problem, detail = "no_instruction", "no instruction was set"
            elif target is None:
                problem, detail = "no_action", "no command is known"
            else:
                frame = self._frame(row.seen, target)
        if frame is None:
            self._skip(row.t - begin, problem, detail)
            return
        self._open(frame, text, int(frame[STAMPS][0]))

    def _skip(self, since_begin: int, problem: str, detail: str) -> None:
        self._quality.refused[problem] += 1
        if self._waiting == 0:
            at = since_begin / NANOSECONDS
            self._first_gap = (since_begin, f"at {at:.2f} s: {problem}: {detail}")
        self._waiting += 1

    def _open(self, frame: dict[str, Any], text: str, stamp: int) -> None:
        """Write a row; after a gap it begins an episode of its own, or ends the export."""
        if self._waiting and self._part is not None:
            if not self._job.wishes.split:
                assert self._first_gap is not None
                raise Refused("gap", f"{self._waiting} rows from {self._first_gap[1]}")
            self._close()
        elif self._waiting:
            self._quality.trimmed += self._waiting
        self._waiting = 0
        if self._part is None:
            suffix = f"-{len(self._parts):02d}"
            folder = self._job.folder / f"{self._job.key}{suffix}"
            self._part = PartWriter(folder, self._job.spec)
            self._shown, self._begin = {}, stamp
        self._part.add(frame, text, self._notes.steps.at(stamp, ""))
        self._count(frame)

    def _count(self, frame: dict[str, Any]) -> None:
        names = self._job.spec.features[STAMPS]
        assert isinstance(names, Column)
        shown = dict(zip(names.names[1:], frame[STAMPS][1:].tolist(), strict=True))
        for camera, stamp in shown.items():
            self._quality.repeated[camera] += bool(stamp) and self._shown.get(camera) == stamp
        self._shown = shown
        self._quality.rows += 1
        self._quality.interventions += bool(frame[INTERVENTION])

    def _close(self) -> None:
        """Finish the episode that is being written; one that is too short is thrown away."""
        part, self._part = self._part, None
        if part is None:
            return
        if len(part) < SHORTEST * self._job.spec.fps:
            self._quality.rows -= len(part)
            self._quality.refused["too_short"] += len(part)
            part.abandon()
            return
        self._parts.append(part.finish(self._metadata(len(self._parts))))

    def _frame(self, seen: Observation, target: Target) -> dict[str, Any]:
        shown = {stamp.camera: stamp.stamp for stamp in seen.camera_stamps}
        cameras = self._cell.policy_cameras
        black = {
            camera.name: np.zeros((camera.height, camera.width, 3), np.uint8)
            for camera, picture in zip(cameras, seen.images, strict=True)
            if picture is None
        }
        return {
            STATE: seen.state.astype(np.float32),
            ACTION: policy_columns(self._cell, target.positions, target.openings).astype(
                np.float32
            ),
            STAMPS: np.array(
                [seen.stamp, *(shown.get(camera.name, 0) for camera in cameras)], dtype=np.int64
            ),
            INTERVENTION: self._notes.intervened(seen.stamp),
            **{
                IMAGES + camera.name: black.get(camera.name, picture)
                for camera, picture in zip(cameras, seen.images, strict=True)
            },
        }

    def _target(self, t: int) -> Target | None:
        """Return what the row's action is: where the arms shall be row_offset rows later.

        Counted from when a row is usually observed, not from this one's own stamp: actions must
        follow one another evenly, also where a picture came early or late or was lost.
        """
        later = t - self._age + round(self._cell.policy.row_offset * self._dt)
        target = self._notes.commands.at(later)
        if target is None or not np.isfinite([*target.positions, *target.openings]).all():
            return None
        return target

    def _instruction(self, stamp: int) -> str:
        sidecar = self._source.sidecar
        said = sidecar.wish.instruction if sidecar else ""
        otherwise = sidecar.circumstances.instruction if sidecar else ""
        return self._job.wishes.task or said or self._notes.instructions.at(stamp, "") or otherwise

    def _refuse_empty(self) -> None:
        reasons = self._quality.refused
        usual = reasons.most_common(1)[0][0] if reasons else ""
        text = ", ".join(f"{name} {count}" for name, count in reasons.most_common()) or "no moment"
        detail = f": {self._first_gap[1]}" if self._first_gap else ""
        known = {"no_instruction": "no_instruction", "no_action": "no_actions"}
        raise Refused(known.get(usual, "too_short"), f"moments left out: {text}{detail}")

    def _lost(self) -> dict[str, int]:
        """Return how many messages each topic lost, by the recorder's ledger."""
        ledger = self._source.sidecar.ledger if self._source.sidecar else {}
        kinds = ("lost_transport", "lost_source", "lost_writer")
        sums = {topic: sum(entry.get(kind, 0) for kind in kinds) for topic, entry in ledger.items()}
        return {topic: lost for topic, lost in sums.items() if lost}

    def _metadata(self, number: int) -> dict[str, Any]:
        """Return what is known about the episode besides its frames."""
        known: dict[str, Any] = {"source": self._source.folder.name, "piece": number}
        sidecar = self._source.sidecar
        if sidecar is not None:
            circumstances = asdict(sidecar.circumstances)
            known |= {
                "episode_id": sidecar.episode_id,
                "begin": sidecar.begin,
                "operator": sidecar.wish.operator,
                "notes": " ".join(filter(None, (sidecar.wish.notes, sidecar.closing_notes))),
                "tags": list(sidecar.wish.tags),
                "outcome": sidecar.outcome,
                "interventions": [asdict(one) for one in sidecar.interventions],
                **{key: value for key, value in circumstances.items() if key != "instruction"},
                "lost": self._lost(),
            }
        known["actions"] = self._notes.commands.name
        scene = self._notes.scene_at(self._begin)
        if scene is not None:
            known["scene"] = scene.as_json()
        return known
