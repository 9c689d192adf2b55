"""Begins a stage with the weights of another: what is missing for a reason begins anew."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

import torch
from safetensors import safe_open

from labvla_policy.model.checkpoint.keys import (
    EMBEDDING,
    LANGUAGE_HEAD,
    POSITION_TABLE,
    check_names,
)
from labvla_policy.model.checkpoint.read import CONFIG
from labvla_policy.model.checkpoint.source import CheckpointFolder
from labvla_policy.model.checkpoint.weights import find_weights
from labvla_policy.model.json_files import read_json
from labvla_policy.model.policy import Policy
from labvla_train.network.parts import Part, part_of


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
    free = {Part.TOKENS} | ({Part.EXPERT} if phase == "vlm_pretrain" else set())
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
