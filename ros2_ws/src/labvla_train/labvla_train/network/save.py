"""A trained network as a checkpoint: additions merged, and of the first stage what it taught."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from torch import Tensor

from labvla_policy.model.checkpoint.keys import PREFIX
from labvla_policy.model.checkpoint.stream import Progress
from labvla_policy.model.checkpoint.write import Description, write_weights
from labvla_policy.model.policy import Policy
from labvla_train.network.lora import merged_state
from labvla_train.network.parts import Part, part_of


def write_trained(
    folder: Path,
    policy: Policy,
    description: Description,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> None:
    """Write an ordinary checkpoint in the released layout, low-rank additions merged."""
    _write(folder, policy, description, set(Part), overwrite, progress)


def write_first_stage(
    folder: Path,
    policy: Policy,
    description: Description,
    *,
    overwrite: bool = False,
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
    _write(folder, policy, description, {Part.BACKBONE, Part.TOKENS}, overwrite, progress)


def _write(
    folder: Path,
    policy: Policy,
    description: Description,
    parts: set[Part],
    overwrite: bool,
    progress: Progress | None,
) -> None:
    made = {
        f"{PREFIX}{name}": make
        for name, make in merged_state(policy).items()
        if part_of(name) in parts
    }
    state = policy.state_dict()
    specs = {
        name: (
            state[name.removeprefix(PREFIX)].dtype,
            tuple(state[name.removeprefix(PREFIX)].shape),
        )
        for name in made
    }

    def produce(name: str) -> Tensor:
        return made[name]()

    write_weights(folder, specs, produce, description, overwrite=overwrite, progress=progress)
