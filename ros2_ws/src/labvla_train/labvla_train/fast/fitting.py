"""From a training run's settings to the tokenizer that its actions need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from labvla_policy.model.config import ModelConfig
from labvla_policy.model.errors import ModelError
from labvla_policy.model.pipeline.vectors import VectorPlan, make_plan
from labvla_train.batches import chunk_of
from labvla_train.demonstrations import Demonstrations, read_demonstrations
from labvla_train.errors import TrainError
from labvla_train.fast.batch import clipped_rows, clipped_share
from labvla_train.fast.fit import fit_tokenizer
from labvla_train.fast.report import FastReport, measure
from labvla_train.fast.tokenizer import PUBLISHED_SCALE
from labvla_train.origin import Origin
from labvla_train.samples import Sample, split
from labvla_train.settings import Settings

# Byte pairs of more chunks are hardly others, and take minutes to count.
MOST_CHUNKS = 10_000
_CHOICE = 0xFA57


@dataclass(frozen=True, eq=False)
class Fitted:
    """What was fitted, and how good it is on episodes that it was not fitted to."""

    folder: Path
    report: FastReport
    held_out: bool  # whether there were such episodes


def fit_to_data(
    settings: Settings, folder: Path, *, scale: float = PUBLISHED_SCALE, progress: bool = False
) -> Fitted:
    """Fit to the episodes that a run with these settings learns from, and write the folder."""
    if folder.exists():
        raise TrainError(f"{folder}: exists already; choose another name, or delete it first")
    config = Origin(settings, "fast").config
    demonstrations = read_demonstrations(
        settings.data.folders, config.chunk_size, cameras=settings.data.cameras
    )
    parts = split(
        [len(one) for one in demonstrations.episodes],
        settings.data.stride,
        settings.data.held_out,
        settings.run.seed,
    )
    try:
        vectors = make_plan(config, demonstrations.schema, demonstrations.stats)
        held = settings.data.beyond_end == "held"
        chunks = _Chunks(demonstrations, vectors, config, held, settings.run.seed)
        learnt, _ = chunks(parts.learnt)
        tokenizer = fit_tokenizer(
            learnt, scale=scale, vocab_size=config.discrete_action_vocab_size, progress=progress
        )
        judged, clipped = chunks(parts.held_out or parts.learnt)
        report = measure(
            tokenizer, judged, limit=config.discrete_action_max_length, clipped=clipped
        )
    except ModelError as error:
        raise TrainError(str(error)) from None
    tokenizer.save(folder)
    return Fitted(folder, report, bool(parts.held_out))


@dataclass(frozen=True, eq=False)
class _Chunks:
    """Reads samples as the tokenizer gets them in training."""

    demonstrations: Demonstrations
    vectors: VectorPlan
    config: ModelConfig
    held: bool
    seed: int

    def __call__(self, samples: Sequence[Sample]) -> tuple[NDArray[np.floating], float]:
        """Return chunks x rows x columns, and the share of the numbers that were clipped."""
        chance = np.random.default_rng([self.seed, _CHOICE])
        places = np.sort(chance.permutation(len(samples))[:MOST_CHUNKS])
        read = [self._rows(samples[place]) for place in places]
        actions = np.stack([rows for rows, _ in read])
        beyond = np.stack([pad for _, pad in read])
        columns = self.vectors.action_width
        chunks, real = clipped_rows(actions, beyond, columns)
        return chunks, clipped_share(actions[..., :columns], real)

    def _rows(self, sample: Sample) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        episode = self.demonstrations.episodes[sample.demonstration]
        state = self.vectors.canonical_state(episode.states[sample.frame])
        rows, beyond = chunk_of(episode.actions, sample.frame, self.config.chunk_size, self.held)
        canonical = self.vectors.action_columns.canonical(rows)
        return self.vectors.network_actions(canonical, state), beyond
