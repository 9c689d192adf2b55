"""The policy that is trained, and everything that will stand beside its weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from tokenizers import Tokenizer

from labvla_policy.model.backbone.mini import MODEL_TYPE, mini_config
from labvla_policy.model.build import build_policy
from labvla_policy.model.checkpoint.read import (
    read_tokenizer,
    table_dtype,
)
from labvla_policy.model.checkpoint.source import find_checkpoint
from labvla_policy.model.checkpoint.write import Description
from labvla_policy.model.checkpoint.write import tokenizer_files as stored_tokenizer_files
from labvla_policy.model.config import ModelConfig, read_fields
from labvla_policy.model.control import ControlContract
from labvla_policy.model.errors import ConfigError, ModelError
from labvla_policy.model.pipeline.text import TOKENIZER, PromptTokenizer
from labvla_policy.model.pipeline.vectors import VectorPlan, make_plan
from labvla_policy.model.policy import Policy
from labvla_policy.model.progress import ProgressHead
from labvla_train.demonstrations import Demonstrations
from labvla_train.errors import TrainError
from labvla_train.network.start import Beginning, begin_from, read_beginning, staged
from labvla_train.network.words import add_words
from labvla_train.progress import begin_head
from labvla_train.settings import Settings
from labvla_train.vocabulary import PAD_ID, UNKNOWN, extended, tokenizer_files, word_tokenizer
from labvla_train.wordings import Wordings, normal

_CPU = torch.device("cpu")


@dataclass(frozen=True, eq=False)
class Network:
    """What is trained."""

    policy: Policy
    tokenizer: PromptTokenizer
    description: Description  # with the schema and the statistics of the data
    progress_head: ProgressHead | None = None  # what learns and is delivered beside the policy
    notes: tuple[str, ...] = ()  # what people should know of the weights it begins with

    def vectors(self, demonstrations: Demonstrations) -> VectorPlan:
        """Return how this policy reads rows of numbers."""
        return make_plan(self.policy.config, demonstrations.schema, demonstrations.stats)


class Origin:
    """Where the network comes from: its sizes are known before the data are read."""

    def __init__(self, settings: Settings, stage: str) -> None:
        self._settings = settings
        self._beginning: Beginning | None = None
        try:
            if settings.start is not None:
                self._beginning = read_beginning(find_checkpoint(settings.start))
                config = staged(self._beginning.config, stage)
            else:
                config = staged(own_config(settings), stage)
        except ModelError as error:
            raise TrainError(str(error)) from None
        given = settings.run.given_rows
        if given >= config.chunk_size:
            raise TrainError(
                f"run.given_rows: expected less than chunk_size = {config.chunk_size}, got {given}"
            )
        # Tables are rounded as those of the delivered weights will be.
        self.config = replace(config, dtype=settings.run.delivered, rtc_trained_prefix=given > 0)

    def build(self, demonstrations: Demonstrations, wordings: Wordings | None) -> Network:
        """Make the network, with weights."""
        schema = demonstrations.schema
        config = replace(self.config, gripper_action_dims=schema.gripper_action_dims)
        try:
            control = ControlContract(
                row_rate=demonstrations.dataset.fps,
                row_offset=self._settings.data.row_offset,
                anchor=self._settings.data.anchor,
                smooth_rows=self._settings.data.smooth_rows,
                execute_rows=self._settings.data.execute_rows,
            )
            words = _words(demonstrations.instructions, wordings)
            if self._beginning is not None:
                network = self._stored(self._beginning, config, words)
            else:
                network = self._fresh(config, words)
            wanted = self._settings.progress is not None
            head, notes = begin_head(wanted, self._beginning, network.policy.config)
        except ModelError as error:
            raise TrainError(str(error)) from None
        slots, cameras = network.policy.vlm.camera_slots, len(schema.cameras)
        if cameras > slots:
            raise TrainError(
                f"{demonstrations.dataset.folder}: expected pictures of at most {slots} cameras, "
                f"got {cameras}: {', '.join(schema.cameras)}"
            )
        description = replace(
            network.description, schema=schema, stats=demonstrations.stats, control=control
        )
        return replace(
            network, description=description, progress_head=head, notes=(*network.notes, *notes)
        )

    def _own_backbone(self, tokenizer: Tokenizer) -> Mapping[str, Any]:
        sizes = {"vocab_size": tokenizer.get_vocab_size(), **self._settings.network.backbone}
        return mini_config(sizes).as_json()

    def _fresh(self, config: ModelConfig, words: Iterable[str]) -> Network:
        tokenizer = word_tokenizer(words)
        backbone = self._own_backbone(tokenizer)
        torch.manual_seed(self._settings.run.seed)
        policy = build_policy(config, backbone, {}, table_dtype=table_dtype(config, torch.float32))
        prompt = PromptTokenizer(tokenizer, PAD_ID, config.tokenizer_max_length)
        description = Description(
            config=config, vlm=backbone, processor={}, tokenizer_files=tokenizer_files(tokenizer)
        )
        return Network(policy, prompt, description)

    def _stored(self, beginning: Beginning, config: ModelConfig, words: Iterable[str]) -> Network:
        torch.manual_seed(self._settings.run.seed)
        policy, notes = begin_from(beginning, config)
        known = set(config.as_json())
        others = {key: value for key, value in beginning.raw_config.items() if key not in known}
        description = Description(
            config=config,
            vlm=beginning.vlm,
            processor=beginning.processor,
            tokenizer_files=stored_tokenizer_files(beginning.folder),
            other_config=others,
        )
        tokenizer = read_tokenizer(beginning.folder, config.tokenizer_max_length)
        network = Network(policy, tokenizer, description, notes=notes)
        # Only a vocabulary of whole words lacks any; the public one spells what it does not know.
        small = beginning.vlm.get("model_type") == MODEL_TYPE
        return _with_words(network, words) if small else network


def _with_words(network: Network, words: Iterable[str]) -> Network:
    """Return a small network that can learn these words, too."""
    described = network.description
    tokenizer, new = extended(described.tokenizer_files[TOKENIZER].decode(), words)
    if not new:
        return network
    unknown = tokenizer.token_to_id(UNKNOWN)
    if unknown is None:
        raise TrainError(f"start: expected a vocabulary with {UNKNOWN} for unknown words")
    add_words(network.policy, len(new), unknown)
    length = described.config.tokenizer_max_length
    return replace(
        network,
        tokenizer=PromptTokenizer(tokenizer, PAD_ID, length),
        description=replace(
            described,
            vlm={**described.vlm, "vocab_size": tokenizer.get_vocab_size()},
            tokenizer_files=tokenizer_files(tokenizer),
        ),
        notes=(*network.notes, f"learns {len(new)} words that the checkpoint does not know"),
    )


def _words(instructions: Iterable[str], wordings: Wordings | None) -> list[str]:
    """Return every word that the network may be told."""
    words = [word for text in instructions for word in normal(text).split()]
    return [*words, *(wordings.vocabulary() if wordings is not None else ())]


def own_config(settings: Settings) -> ModelConfig:
    """Return the configuration of a policy from scratch."""
    values, backbone = settings.network.policy, settings.network.backbone
    if backbone.get("model_type", MODEL_TYPE) != MODEL_TYPE:
        raise ConfigError(
            f"network.backbone: model_type: expected {MODEL_TYPE}, got {backbone['model_type']}; "
            "the public backbone is trained from a checkpoint: name it with `start`"
        )
    unknown = sorted(set(values) - set(ModelConfig().as_json()))
    if unknown:
        raise ConfigError(f"network.policy: {unknown[0]}: no such key")
    by_stage = {"knowledge_isolation", "use_fast_tokenizer", "training_phase"} & values.keys()
    if by_stage:
        raise ConfigError(f"network.policy: {min(by_stage)}: leave it out, the stage decides it")
    read = read_fields(ModelConfig, values, "network.policy")
    read.setdefault("n_action_steps", read.get("chunk_size", ModelConfig.chunk_size))
    return ModelConfig(**{"attn_implementation": "sdpa", **read})
