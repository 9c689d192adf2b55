"""The first stage: the backbone learns to predict action tokens; there is no expert yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from labvla_policy.model.errors import ModelError
from labvla_policy.model.policy import TrainingBatch
from labvla_train.batches import Batch
from labvla_train.demonstrations import Demonstrations
from labvla_train.errors import TrainError
from labvla_train.fast.batch import ActionTokens
from labvla_train.fast.tokenizer import FastTokenizer
from labvla_train.network.parts import Freezing, freeze
from labvla_train.network.save import write_first_stage
from labvla_train.network.shape import shape_network
from labvla_train.origin import Network
from labvla_train.settings import Settings
from labvla_train.stages.base import Learner
from labvla_train.stages.flow import FlowLearner


class TokenLearner(Learner):
    """A policy whose expert is left alone."""

    def __init__(
        self, settings: Settings, network: Network, demonstrations: Demonstrations
    ) -> None:
        super().__init__()
        self.policy = network.policy
        self._settings, self._description = settings, network.description
        self._tokens = action_tokens(settings, network, demonstrations)
        if settings.auxiliary is not None:
            raise TrainError("auxiliary: tokens alone are learnt here; take it out (null)")
        freezing = Freezing(freeze_vision_encoder=settings.run.freeze_vision, train_vlm_only=True)
        freeze(self.policy, freezing)
        shape_network(self.policy, settings)

    def losses(self, batch: Batch, chance: torch.Generator) -> Mapping[str, Tensor]:
        """Return the losses of a batch; nothing of them is left to chance."""
        training, told = tokenised(batch.training, self._tokens)
        loss = self.policy.token_loss(training)
        return {"total": loss, "tokens": loss, **told}

    def measure(self, batch: Batch) -> Mapping[str, list[float]]:
        """Nothing acts yet: what is held out is measured by its loss alone."""
        return {}

    def deliver(self, folder: Path) -> None:
        """Write what the next stage begins with."""
        write_first_stage(
            folder, self.policy, self._description, delivered=self._settings.run.delivered
        )


class IsolatedLearner(FlowLearner):
    """Flow and tokens; the flow's loss ends before the backbone."""

    def __init__(
        self, settings: Settings, network: Network, demonstrations: Demonstrations
    ) -> None:
        super().__init__(settings, network, demonstrations)
        self._tokens = action_tokens(settings, network, demonstrations)

    def losses(self, batch: Batch, chance: torch.Generator) -> Mapping[str, Tensor]:
        """Return the losses of a batch."""
        training, told = tokenised(batch.training, self._tokens)
        return {**super().losses(replace(batch, training=training), chance), **told}


def action_tokens(
    settings: Settings, network: Network, demonstrations: Demonstrations
) -> ActionTokens:
    """Return what makes tokens of actions, as the settings name it."""
    if settings.tokens is None:
        raise TrainError(
            "tokens: this stage needs a tokenizer of actions: make one with `labvla train "
            "tokenizer CONFIG --out FOLDER` and name it (tokens.tokenizer)"
        )
    config = network.policy.config
    try:
        return ActionTokens(
            FastTokenizer.load(Path(settings.tokens.tokenizer)),
            columns=network.vectors(demonstrations).action_width,
            limit=config.discrete_action_max_length,
            vocabulary=config.discrete_action_vocab_size,
        )
    except ModelError as error:
        raise TrainError(str(error)) from None


def tokenised(
    training: TrainingBatch, tokens: ActionTokens
) -> tuple[TrainingBatch, Mapping[str, Tensor]]:
    """Return the batch with its tokens, and what they leave out."""
    made = tokens(training.actions, training.action_is_pad)
    device = training.actions.device
    left_out = {"clipped": torch.tensor(made.clipped), "cut": torch.tensor(float(made.cut))}
    training = replace(
        training, action_tokens=made.tokens.to(device), action_token_mask=made.mask.to(device)
    )
    return training, left_out


def make_fast(settings: Settings, network: Network, demonstrations: Demonstrations) -> Learner:
    """Learn to predict action tokens."""
    return TokenLearner(settings, network, demonstrations)


def make_isolated(settings: Settings, network: Network, demonstrations: Demonstrations) -> Learner:
    """Learn by flow matching behind an insulated backbone that learns from tokens."""
    return IsolatedLearner(settings, network, demonstrations)
