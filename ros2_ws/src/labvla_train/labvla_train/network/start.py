"""Begins a stage with the weights of another: what is missing for a reason begins anew."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import torch
from safetensors import safe_open

from labvla_policy.model.build import build_policy
from labvla_policy.model.checkpoint.keys import (
    EMBEDDING,
    KI_PARTS,
    LANGUAGE_HEAD,
    POSITION_TABLE,
    check_names,
)
from labvla_policy.model.checkpoint.read import (
    PROCESSOR_CONFIG,
    VLM_CONFIG,
    NetworkFiles,
    describe,
    load_network,
    table_dtype,
)
from labvla_policy.model.checkpoint.source import CONFIG, CheckpointFolder
from labvla_policy.model.checkpoint.weights import find_weights
from labvla_policy.model.config import ModelConfig, read_fields
from labvla_policy.model.errors import ConfigError
from labvla_policy.model.json_files import read_json
from labvla_policy.model.policy import Policy
from labvla_train.network.parts import Part, part_of

FIRST_PHASE = "vlm_pretrain"
_CPU = torch.device("cpu")
_WITH_TOKENS = ("fast", "ki")


def staged(config: ModelConfig, stage: str) -> ModelConfig:
    """Return the configuration of the network that a stage trains.

    The first stage, too, has the state as a token, which is a part for isolation.
    """
    isolated = stage in _WITH_TOKENS
    if isolated and config.objective != "flow":
        raise ConfigError(f"objective: expected flow in the stage {stage}, got {config.objective}")
    return replace(
        config,
        training_phase="posttrain",
        knowledge_isolation=isolated,
        use_fast_tokenizer=isolated,
    )


@dataclass(frozen=True, eq=False)
class Beginning:
    """A checkpoint to begin with, of whatever stage."""

    folder: CheckpointFolder
    config: ModelConfig
    vlm: Mapping[str, Any]
    processor: Mapping[str, Any]
    raw_config: Mapping[str, Any]
    files: NetworkFiles | None  # None: of the first stage, which nothing else reads


def read_beginning(folder: CheckpointFolder) -> Beginning:
    """Read everything about a checkpoint but its weights."""
    path = folder.need(CONFIG, "it says what the weights are for")
    raw = read_json(path)
    if raw.get("training_phase") != FIRST_PHASE:
        files = describe(folder)
        return Beginning(folder, files.config, files.vlm, files.processor, raw, files)
    vlm, processor = (
        read_json(folder.need(name, "the first stage writes it beside its weights"))
        for name in (VLM_CONFIG, PROCESSOR_CONFIG)
    )
    config = ModelConfig(**read_fields(ModelConfig, raw, str(path)))
    return Beginning(folder, config, vlm, processor, raw, None)


def begin_from(beginning: Beginning, config: ModelConfig) -> tuple[Policy, tuple[str, ...]]:
    """Return a policy in fp32 with a checkpoint's weights, and what people should know of it.

    What the checkpoint lacks is random.
    """
    files = beginning.files
    if files is not None and (files.config.knowledge_isolation or not config.knowledge_isolation):
        policy, _ = load_network(replace(files, config=config), device=_CPU, dtype=torch.float32)
        for parameter in policy.parameters():
            # Mapped from the file until now, and nobody may write there.
            parameter.data = parameter.data.clone()
        aside = files.config.knowledge_isolation and not config.knowledge_isolation
        return policy, Begun((), KI_PARTS if aside else ()).lines()
    tables = table_dtype(config, torch.float32)
    policy = build_policy(config, beginning.vlm, beginning.processor, table_dtype=tables)
    return policy, start_from(beginning.folder, policy).lines()


@dataclass(frozen=True)
class Begun:
    """What became of a policy's weights, by name."""

    anew: tuple[str, ...]  # not in the checkpoint: random as they were
    left: tuple[str, ...]  # in the checkpoint, without a use here

    def lines(self) -> tuple[str, ...]:
        """For people."""
        anew, left = (sorted({part_of(name) for name in names}) for names in (self.anew, self.left))
        return tuple(
            f"{what}: {', '.join(parts)}"
            for what, parts in (("begins anew", anew), ("left aside", left))
            if parts
        )


def start_from(folder: CheckpointFolder, policy: Policy) -> Begun:
    """Copy a checkpoint's weights into a policy that has random ones.

    The expert may be missing in what the first stage wrote, and the parts for action tokens on
    either side; everything else has to be there, in the same shape.
    """
    phase = read_json(folder.need(CONFIG, "it says what the weights are for")).get("training_phase")
    weights = find_weights(folder)
    state = policy.state_dict()
    free = {Part.TOKENS} | ({Part.EXPERT} if phase == FIRST_PHASE else set())
    optional = {name for name in (*state, *weights.tensors) if part_of(name) in free}
    optional |= {name for name in state if name.endswith(POSITION_TABLE)}
    if weights.tensors.keys() & {EMBEDDING, LANGUAGE_HEAD}:
        optional |= {EMBEDDING, LANGUAGE_HEAD}
    check_names(
        weights.tensors,
        {name: tuple(tensor.shape) for name, tensor in state.items()},
        optional,
        weights.where,
    )
    with ExitStack() as stack, torch.no_grad():
        paths = {path for path, _ in weights.places.values()}
        files = {path: stack.enter_context(safe_open(path, framework="pt")) for path in paths}
        for name, weight in policy.named_parameters():
            source = LANGUAGE_HEAD if name == EMBEDDING and name not in weights.tensors else name
            if source in weights.tensors:
                path, key = weights.places[source]
                weight.copy_(files[path].get_tensor(key))
    named = dict(policy.named_parameters())
    tied = {EMBEDDING, LANGUAGE_HEAD}
    return Begun(
        anew=tuple(sorted(named.keys() - weights.tensors.keys() - tied)),
        left=tuple(sorted(weights.tensors.keys() - state.keys())),
    )
