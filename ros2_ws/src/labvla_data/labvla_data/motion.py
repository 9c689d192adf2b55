"""A recorded motion, from a bag or a dataset: where the arms were told to be, and where they went.

Times are seconds since the first command, positions rad in the order of the cell's joints,
openings metres in the order of its arms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from labvla_data.dataset.errors import DatasetError
from labvla_data.dataset.features import STAMPS, Column
from labvla_data.dataset.layout import INFO
from labvla_data.dataset.reader import Dataset, Episode, as_matrix, open_dataset
from labvla_data.export.commands import Commands, Track
from labvla_data.export.notes import Notes, take_notes
from labvla_data.export.reasons import Refused
from labvla_data.export.source import source_of
from labvla_data.scene import Scene, of_json
from labvla_policy.runtime.cell import Cell, CellError, load_cell
from labvla_policy.runtime.columns import joints_and_openings
from labvla_policy.runtime.refusal import Refused as SampleRefused
from labvla_policy.runtime.types import NANOSECONDS, Array

_DT = 0.02  # s between commands taken from a bag: as often as the controller tells them
_SHORTEST = 0.5  # s


class MotionError(Exception):
    """There is no motion to be had; the text says why and what to do."""


@dataclass(frozen=True, eq=False)
class Samples:
    """Positions and openings at some times."""

    times: Array  # s
    positions: Array
    openings: Array


@dataclass(frozen=True, eq=False)
class RecordedMotion:
    """What was commanded, and what was measured meanwhile."""

    name: str
    cell: Cell
    commanded: Samples  # evenly spaced, the first at time 0
    measured: Samples
    scene: Scene | None  # simulated bench at time 0; None where it is not known
    outcome: str  # as the recording says it: success, failure or unknown

    @property
    def dt(self) -> float:
        """Seconds between two commands."""
        return float(self.commanded.times[1] - self.commanded.times[0])

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return float(self.commanded.times[-1])


def is_dataset(folder: Path) -> bool:
    """Whether a folder holds a dataset; else it may be a bag."""
    return (folder / INFO).is_file()


def of_bag(folder: Path, cell: Cell | None = None) -> RecordedMotion:
    """Read an episode's bag; `cell` is used where it does not carry its own."""
    try:
        source = source_of(folder, cell)
        notes = take_notes(source, "commanded")
        track = take_notes(source, "executed").commands
    except Refused as refused:
        raise MotionError(f"{folder}: {refused}") from None
    assert isinstance(track, Track)
    begin, times = _commanded_times(notes.commands, track, notes)
    commanded = _sampled(folder, notes.commands, begin, times)
    inside = (track.stamps >= begin) & (track.stamps <= begin + round(times[-1] * NANOSECONDS))
    measured = Samples(
        (track.stamps[inside] - begin) / NANOSECONDS,
        track.positions[inside],
        track.openings[inside],
    )
    return RecordedMotion(
        name=source.name,
        cell=source.cell,
        commanded=commanded,
        measured=measured,
        scene=notes.scene_at(begin),
        outcome=source.sidecar.outcome if source.sidecar else "unknown",
    )


def _commanded_times(commands: Commands, track: Track, notes: Notes) -> tuple[int, Array]:
    """Return when commands and measurements both begin (ns), and the times of the commands (s)."""
    known = track.stamps if notes.reference is None else notes.reference.stamps
    # What was recorded before the bench was put up anew led to nothing that is on it.
    begin = int(max(known[0], track.stamps[0], notes.put_up))
    while commands.at(begin) is None and begin < commands.end:  # until the first plan was there
        begin += round(_DT * NANOSECONDS)
    end = min(commands.end, int(track.stamps[-1]))
    count = int((end - begin) / NANOSECONDS / _DT) + 1
    return begin, np.arange(max(count, 1), dtype=np.float64) * _DT


def _sampled(folder: Path, commands: Commands, begin: int, times: Array) -> Samples:
    targets = []
    for time in times:
        target = commands.at(begin + round(float(time) * NANOSECONDS))
        if target is None or not np.isfinite([*target.positions, *target.openings]).all():
            raise MotionError(
                f"{folder}: expected commands all the time, none is known {time:.2f} s after the "
                "first"
            )
        targets.append(target)
    _check_length(str(folder), times)
    return Samples(
        times,
        np.array([target.positions for target in targets]),
        np.array([target.openings for target in targets]),
    )


def of_dataset(folder: Path, number: int = 0, cell: Cell | None = None) -> RecordedMotion:
    """Read an episode of a dataset; its cell is the one that the dataset names, unless given."""
    dataset = open_dataset(folder)
    cell = cell or _named_cell(dataset)
    names = {m: _column_of(dataset, m, cell) for m in ("observation.state", "action")}
    episode = dataset.episode(number)
    columns = episode.columns(list(names.values()))
    commanded, measured = (
        _samples(episode.index, as_matrix(columns[names[m]]), cell, dataset.fps)
        for m in ("action", "observation.state")
    )
    _check_length(f"{folder}, episode {number}", commanded.times)
    known = dataset.sidecar.get(number, {})
    # An action is where the arms shall be some rows after the state in which it is given.
    offset = cell.policy.row_offset / dataset.fps
    times = _measured_times(episode, dataset.fps) - offset
    return RecordedMotion(
        name=f"{folder.resolve().name}, episode {number}",
        cell=cell,
        commanded=commanded,
        measured=Samples(times, measured.positions, measured.openings),
        scene=_scene(folder, known),
        outcome=str(known.get("outcome") or "unknown"),
    )


def _named_cell(dataset: Dataset) -> Cell:
    try:
        return load_cell(dataset.robot_type)
    except CellError:
        raise MotionError(
            f"{dataset.folder}: its robot is called {dataset.robot_type!r}, and no cell is called "
            "so; name one with --cell"
        ) from None


def _column_of(dataset: Dataset, meaning: str, cell: Cell) -> str:
    """Return what a dataset calls its states or actions, if they are those of a cell."""
    name = dataset.name_of(meaning)
    column = dataset.features[name] if name is not None else None
    if name is None or not isinstance(column, Column):
        raise MotionError(f"{dataset.folder}: expected the column {meaning}")
    wanted = cell.column_names
    differing = [
        f"{got} instead of {want}"
        for want, got in zip(wanted, column.names, strict=False)
        if want is not None and want != got
    ]
    if column.width != len(wanted) or differing:
        detail = ", ".join(differing) or f"{column.width} instead of {len(wanted)} columns"
        raise MotionError(
            f"{dataset.folder}: {name} is not of the cell {cell.name} ({detail}); name another "
            "one with --cell"
        )
    return name


def _samples(number: int, columns: Array, cell: Cell, fps: float) -> Samples:
    if not np.isfinite(columns).all():
        raise MotionError(f"episode {number}: expected finite numbers; see labvla data scan")
    try:
        positions, openings = joints_and_openings(cell, columns)
    except SampleRefused as refused:
        raise MotionError(f"episode {number}: {refused.refusal.detail}") from None
    return Samples(np.arange(len(columns)) / fps, positions, openings)


def _measured_times(episode: Episode, fps: float) -> Array:
    """Return when states were measured: by their own stamps where those were kept."""
    rows = np.arange(len(episode)) / fps
    if not episode.has(STAMPS):
        return rows
    stamps = episode.column(STAMPS).reshape(len(episode), -1)[:, 0]
    times = (stamps - stamps[0]) / NANOSECONDS
    return np.asarray(times - np.median(times - rows))


def _scene(folder: Path, known: Mapping[str, Any]) -> Scene | None:
    if "scene" not in known:
        return None
    try:
        return of_json(known["scene"])
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{folder}: the scene of an episode cannot be read: {error!r}") from None


def _check_length(name: str, times: Array) -> None:
    if times[-1] < _SHORTEST:
        raise MotionError(
            f"{name}: expected at least {_SHORTEST} s of commands, got {times[-1]:.2f}"
        )
