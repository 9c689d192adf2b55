"""Flow matching, with what else the policy's configuration asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from labvla_policy.model import flow
from labvla_train.auxiliary import make_teller
from labvla_train.batches import Batch
from labvla_train.demonstrations import Demonstrations
from labvla_train.network.parts import Freezing, freeze
from labvla_train.network.save import write_trained
from labvla_train.network.shape import shape_network
from labvla_train.origin import Network
from labvla_train.settings import Settings
from labvla_train.stages.base import Learner
from labvla_train.tool_error import ToolError

_MEASURED_STEPS = 5  # of the Euler method
_NOISE_SEED = 7  # of what is measured: the same noise each time


class FlowLearner(Learner):
    """A policy, what tells where things are, and what tells how far the episode is."""

    def __init__(
        self, settings: Settings, network: Network, demonstrations: Demonstrations
    ) -> None:
        super().__init__()
        self.policy = network.policy
        self._settings, self._description = settings, network.description
        freeze(self.policy, Freezing(freeze_vision_encoder=settings.run.freeze_vision))
        shape_network(self.policy, settings)
        config = self.policy.config
        self._sampling = flow.TimeSampling(
            config.time_sampling_beta_alpha,
            config.time_sampling_beta_beta,
            config.time_sampling_scale,
            config.time_sampling_offset,
        )
        self.teller = None
        auxiliary = settings.auxiliary
        if auxiliary is not None:
            truth = np.concatenate([one.truth for one in demonstrations.episodes])
            self.teller = make_teller(
                auxiliary.things,
                demonstrations.truth_names,
                truth,
                config,
            )
        self.progress = network.progress_head
        self._tool_error = ToolError(settings, network, demonstrations)
        self._columns = self._tool_error.vectors.action_width

    def losses(self, batch: Batch, chance: torch.Generator) -> Mapping[str, Tensor]:
        """Return the losses of a batch."""
        drawn = self._drawn(batch, chance)
        found = self.policy.losses(batch.training, drawn, self._columns)
        told = {"total": found.total, "flow": found.flow}
        if found.tokens is not None:
            told["tokens"] = found.tokens
        if self.teller is not None and batch.truth is not None and self._settings.auxiliary:
            told["auxiliary"] = self.teller.loss(found.seen, batch.truth)
            told["total"] = told["total"] + self._settings.auxiliary.weight * told["auxiliary"]
        if self.progress is not None and self._settings.progress:
            told["progress"] = self.progress.loss(found.seen, batch.done)
            told["total"] = told["total"] + self._settings.progress.weight * told["progress"]
        return told

    def _drawn(self, batch: Batch, chance: torch.Generator) -> flow.FlowDraw:
        """Draw for the whole step, whoever has which share of it."""
        actions = batch.training.actions
        step = actions.new_empty(len(actions) * batch.share.of, *actions.shape[1:])
        drawn = flow.draw(step, self._sampling, chance, self._settings.run.draws)
        if self._settings.run.given_rows:
            drawn = flow.with_given_rows(drawn, self._settings.run.given_rows, chance)
        part = batch.share.part(len(drawn.time))
        return flow.FlowDraw(drawn.noise[part], drawn.time[part])

    def measure(self, batch: Batch) -> Mapping[str, list[float]]:
        """Return how far off the sampled chunks are, and the share that is told to be done."""
        actions, inputs = batch.training.actions, batch.training.inputs
        chance = torch.Generator().manual_seed(_NOISE_SEED)
        noise = flow.draw_noise(actions.shape, actions.device, chance)
        steps = None if self.policy.config.objective == "l1" else _MEASURED_STEPS
        seen = self.policy.encode(inputs)
        chunks = self.policy.sample_seen(seen, inputs.state, noise, steps)
        errors = dict(self._tool_error(chunks, batch))
        if self.progress is not None:
            errors["progress"] = (self.progress(seen) - batch.done).abs().tolist()
        return errors

    def deliver(self, folder: Path) -> None:
        """Write policy, progress head, schema, statistics and tokenizer."""
        description = replace(self._description, config=self.policy.config)
        write_trained(
            folder,
            self.policy,
            description,
            progress_head=self.progress,
            delivered=self._settings.run.delivered,
        )


def make_flow(settings: Settings, network: Network, demonstrations: Demonstrations) -> Learner:
    """Learn by flow matching; under knowledge isolation discrete tokens are learnt, too."""
    return FlowLearner(settings, network, demonstrations)
