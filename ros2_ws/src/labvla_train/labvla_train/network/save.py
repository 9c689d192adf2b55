"""A trained network as a checkpoint: additions merged, and of the first stage what it taught."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from torch import Tensor

from labvla_policy.model.checkpoint.keys import PREFIX
from labvla_policy.model.checkpoint.read import DTYPES
from labvla_policy.model.checkpoint.stream import Progress
from labvla_policy.model.checkpoint.write import Description, write_weights
from labvla_policy.model.config import Dtype
from labvla_policy.model.policy import Policy
from labvla_policy.model.progress import ProgressHead
from labvla_train.network.lora import merged_state, stored_tensors
from labvla_train.network.parts import Part, part_of


def write_trained(
    folder: Path,
    policy: Policy,
    description: Description,
    *,
    progress_head: ProgressHead | None = None,
    delivered: Dtype | None = None,
    progress: Progress | None = None,
) -> None:
    """Write an ordinary checkpoint in the released layout, low-rank additions merged.

    `delivered` is the type of the written weights; they keep theirs without it.
    """
    _write(folder, policy, description, set(Part), delivered, progress, progress_head)


def write_first_stage(
    folder: Path,
    policy: Policy,
    description: Description,
    *,
    delivered: Dtype | None = None,
    progress: Progress | None = None,
) -> None:
    """Write what learnt from tokens alone: no expert, so that nobody lets it act.

    Its configuration says so, too (`vlm_pretrain`): `labvla serve` refuses it, the next stage
    begins with it.
    """
    config = replace(
        description.config,
        training_phase="vlm_pretrain",
        knowledge_isolation=False,
        use_fast_tokenizer=True,
    )
    description = replace(description, config=config)
    _write(folder, policy, description, {Part.BACKBONE, Part.TOKENS}, delivered, progress)


def _write(
    folder: Path,
    policy: Policy,
    description: Description,
    parts: set[Part],
    delivered: Dtype | None,
    progress: Progress | None,
    progress_head: ProgressHead | None = None,
) -> None:
    dtype = None if delivered is None else DTYPES[delivered]
    state = stored_tensors(policy)
    made = {
        f"{PREFIX}{name}": (make, dtype or state[name].dtype, tuple(state[name].shape))
        for name, make in merged_state(policy).items()
        if part_of(name) in parts
    }
    specs = {name: (kind, shape) for name, (_, kind, shape) in made.items()}

    def produce(name: str) -> Tensor:
        make, kind, _ = made[name]
        return make().to(kind)

    head = None
    if progress_head is not None:
        stored = stored_tensors(progress_head)
        head = {name: tensor.to(dtype or tensor.dtype) for name, tensor in stored.items()}
    write_weights(folder, specs, produce, description, progress_head=head, progress=progress)
