"""Plays a recorded motion as if it were a policy: the whole road without a model."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from labvla_policy.engines.base import EngineError, Question
from labvla_policy.engines.spec import EngineSpec
from labvla_policy.runtime.cell import load_cell
from labvla_policy.runtime.types import Array, Observation, Prediction

JOINT_COLUMNS = tuple(f"joint_{number}" for number in range(1, 8))
COLUMNS = ("time", *JOINT_COLUMNS, "gripper")
ROWS = 50  # as many as the real policy predicts


class Recording:
    """A motion of one arm: offsets from where it begins, and how far the gripper is open."""

    def __init__(self, path: Path) -> None:
        self.name = path.stem
        self._time, self._values = _read(path)
        self.duration = float(self._time[-1])

    def at(self, times: Array) -> Array:
        """Return times x (7 offsets, opening), repeating the motion for ever."""
        wrapped = np.mod(times, self.duration)
        return np.stack([np.interp(wrapped, self._time, v) for v in self._values.T], axis=1)


def _read(path: Path) -> tuple[Array, Array]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise EngineError(f"{path}: cannot be read: {error}") from None
    lines = [(n, line) for n, line in enumerate(text.splitlines(), 1) if line[:1] not in ("", "#")]
    if not lines or tuple(lines[0][1].split(",")) != COLUMNS:
        got = lines[0][1] if lines else "an empty file"
        raise EngineError(f"{path}: expected the columns {','.join(COLUMNS)}, got {got}")
    table = np.array(list(_numbers(path, lines[1:])))
    if len(table) < 2 or np.any(np.diff(table[:, 0]) <= 0) or table[0, 0] != 0:
        raise EngineError(f"{path}: expected two rows or more, with times that rise from 0")
    if not np.allclose(table[0, 1:8], 0) or not np.allclose(table[-1, 1:8], 0):
        raise EngineError(f"{path}: expected a motion that begins and ends at offset 0")
    return table[:, 0], table[:, 1:]


def _numbers(path: Path, lines: list[tuple[int, str]]) -> Iterator[list[float]]:
    for number, cells in zip(
        (n for n, _ in lines), csv.reader(line for _, line in lines), strict=True
    ):
        try:
            row = [float(cell) for cell in cells]
        except ValueError:
            row = []
        if len(row) != len(COLUMNS) or not np.all(np.isfinite(row)):
            raise EngineError(f"{path}:{number}: expected {len(COLUMNS)} finite numbers")
        yield row


class ReplayEngine:
    """Applies a recording to every arm of the cell, from wherever the arms are at the beginning."""

    def __init__(self, spec: EngineSpec) -> None:
        self._cell = cell = load_cell(spec.cell)
        if "recording" not in spec.options:
            raise EngineError("replay: expected the option recording, the file of a motion")
        self._recording = Recording(Path(spec.options["recording"]))
        self._dt = 1.0 / cell.policy.row_rate
        self._row_offset = cell.policy.row_offset
        self._start: Observation | None = None

    @property
    def policy(self) -> str:
        """Name the recording."""
        return f"replay:{self._recording.name}"

    def begin(self, observation: Observation) -> None:
        """Take this observation's posture and time as the recording's beginning."""
        self._start = observation

    def infer(self, question: Question) -> Prediction:
        """Return the rows that follow the observation's time."""
        if self._start is None:
            raise EngineError("replay: infer was called before begin")
        first = question.observation.stamp + round(self._row_offset * self._dt * 1e9)
        elapsed = (first - self._start.stamp) * 1e-9
        motion = self._recording.at(elapsed + np.arange(ROWS, dtype=np.float64) * self._dt)
        offsets, opening = motion[:, :7], motion[:, 7]
        targets = [offsets[:, : len(arm.joints)] for arm in self._cell.arms]
        grippers = [opening * arm.gripper.stroke for arm in self._cell.arms]
        return Prediction(
            plan_start=first,
            dt=self._dt,
            joint_names=self._start.joint_names,
            joint_targets=self._start.positions + np.concatenate(targets, axis=1),
            gripper_names=tuple(arm.gripper_name for arm in self._cell.arms),
            gripper_targets=np.stack(grippers, axis=1),
        )

    def close(self) -> None:
        """Give back nothing: a recording is just numbers."""
