"""The engine of the policy node here: answers at once, and notes what it was asked and when.

It is known by an entry point, as every engine of another package is.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from benchmarks.node.answers import rows_from
from benchmarks.node.process import save
from labvla_policy.engines.base import Question
from labvla_policy.engines.spec import EngineSpec
from labvla_policy.runtime.cell import load_cell
from labvla_policy.runtime.types import NANOSECONDS, Observation, Prediction

NAME = "benchmark"


class InstantEngine:
    """Answers without thinking."""

    policy = "benchmark:instant"

    def __init__(self, spec: EngineSpec) -> None:
        self._cell = load_cell(spec.cell)
        self._record = spec.options["record"]
        self._asked: list[tuple[int, int, int, int]] = []

    def begin(self, observation: Observation) -> None:
        """Need nothing to begin."""

    def infer(self, question: Question) -> Prediction:
        """Answer from where the arm is."""
        begin = time.monotonic_ns()
        observation = question.observation
        dt = 1.0 / self._cell.policy.row_rate
        prediction = Prediction(
            plan_start=observation.stamp + round(self._cell.policy.row_offset * dt * NANOSECONDS),
            dt=dt,
            joint_names=observation.joint_names,
            joint_targets=rows_from(observation.positions),
            gripper_names=tuple(arm.gripper_name for arm in self._cell.arms),
            gripper_targets=np.tile(observation.grippers, (len(rows_from([0.0])), 1)),
        )
        newest = max(frame.stamp for frame in observation.camera_stamps)
        self._asked.append((observation.stamp, newest, begin, time.monotonic_ns()))
        return prediction

    def close(self) -> None:
        """Write down what was asked."""
        save(self._record, {"asked": self._asked})


def install_entry_point(folder: Path) -> None:
    """Make the engine known to processes that have the folder on their path."""
    info = folder / "labvla_benchmark_engine-0.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: labvla-benchmark-engine\nVersion: 0\n"
    )
    target = f"{__name__}:InstantEngine"
    (info / "entry_points.txt").write_text(f"[labvla.engines]\n{NAME} = {target}\n")
