"""How far off a chunk leads the tool: what tells best how a policy will do.

The largest errors tell more than the usual ones: they come where two ways are open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from labvla_policy.model.pipeline.vectors import make_plan
from labvla_policy.runtime.cell import CellError, load_cell
from labvla_policy.runtime.kinematics import CHAINS, Chain
from labvla_train.batches import Batch
from labvla_train.demonstrations import Demonstrations
from labvla_train.errors import TrainError
from labvla_train.origin import Network
from labvla_train.settings import Settings

_TOLD_ROW = 0.5  # s after the observation: about where the next chunk takes over


class ToolError:
    """Errors of sampled chunks: joints in rad, and the tool in mm where the cell is known."""

    def __init__(
        self, settings: Settings, network: Network, demonstrations: Demonstrations
    ) -> None:
        self._demonstrations = demonstrations
        self.vectors = make_plan(network.policy.config, demonstrations.schema, demonstrations.stats)
        row = round(_TOLD_ROW * demonstrations.dataset.fps)
        self._row = min(row, network.policy.config.chunk_size - 1)
        self._tools = _tools(settings.run.cell)

    def __call__(self, chunks: Tensor, batch: Batch) -> Mapping[str, list[float]]:
        """Return the error of each sample in whose episode the row still is."""
        row, columns = self._row, self.vectors.action_columns
        joints = columns.joints
        errors: dict[str, list[float]] = {"joints_rad": []}
        for chunk, sample in zip(_numpy(chunks), batch.samples, strict=True):
            episode = self._demonstrations.episodes[sample.demonstration]
            if sample.frame + row >= len(episode):
                continue
            state = self.vectors.canonical_state(episode.states[sample.frame])
            told = self.vectors.restored(chunk, state)[row]
            done = columns.canonical(episode.actions[sample.frame + row])
            errors["joints_rad"].append(float(np.abs(told - done)[joints].max()))
            if self._tools:
                name = f"tool_mm {episode.task}".strip()
                errors.setdefault(name, []).append(1000 * self._distance(told, done))
        return errors

    def _distance(self, told: NDArray[np.float32], done: NDArray[np.float32]) -> float:
        return max(float(np.linalg.norm(tool(told) - tool(done))) for tool in self._tools)


def _numpy(chunks: Tensor) -> NDArray[np.float32]:
    rows: NDArray[np.float32] = chunks.detach().to(torch.float32).cpu().numpy()
    return rows


@dataclass(frozen=True, eq=False)
class _Tool:
    """Where an arm's tool is for a row."""

    places: list[int]  # columns of its joints
    chain: Chain
    tcp: NDArray[np.float64]

    def __call__(self, row: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the point between the fingertips, from the arm's foot."""
        joints = row[self.places].astype(np.float64)
        point: NDArray[np.float64] = (self.chain.forward(joints) @ self.tcp)[:3, 3]
        return point


def _tools(name: str | None) -> list[_Tool]:
    if name is None:
        return []
    try:
        cell = load_cell(name)
    except CellError as error:
        raise TrainError(f"run.cell: {error}") from None
    return [
        _Tool(list(columns.joints[: len(arm.joints)]), CHAINS[arm.kind], arm.tcp.matrix())
        for arm, columns in zip(cell.arms, cell.policy.columns.arms, strict=True)
    ]
