"""Which weights learn in a stage."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from torch import nn

from labvla_policy.model.errors import ConfigError
from labvla_policy.model.policy import Policy

# In the released file, and without a use: nothing that is computed depends on them. (Where the
# language head is the table of words itself, it goes by the table's name.)
_UNUSED = ("vlm.model.visual.deepstack_merger_list.", "vlm.lm_head.")


class Part(StrEnum):
    """Parts of a policy that learn at rates of their own, and whether a loss reaches them."""

    BACKBONE = "vlm"
    TOKENS = "ki"  # the state's token and the head of action tokens
    EXPERT = "dit"


def part_of(name: str) -> Part:
    """Return the part that a parameter belongs to."""
    if name.startswith("vlm."):
        return Part.BACKBONE
    if name.startswith(("ki_head.", "state_vlm_proj.")):
        return Part.TOKENS
    return Part.EXPERT


@dataclass(frozen=True, kw_only=True)
class Freezing:
    """What does not learn; names as in config.json."""

    freeze_vision_encoder: bool = True
    train_expert_only: bool = False
    train_vlm_only: bool = False

    def __post_init__(self) -> None:
        if self.train_expert_only and self.train_vlm_only:
            raise ConfigError("train_expert_only and train_vlm_only exclude each other")

    def spares(self, part: Part) -> bool:
        """Whether a part is left as it is."""
        if part is Part.EXPERT:
            return self.train_vlm_only
        return self.train_expert_only


def freeze(policy: Policy, freezing: Freezing) -> int:
    """Let learn what shall learn; return how many numbers that are.

    Weights that nothing depends on never learn: waiting for their gradients would hold up
    processes that train together.
    """
    eyes = {id(weight) for weight in policy.vlm.vision_parameters()}
    for name, weight in policy.named_parameters():
        frozen = freezing.spares(part_of(name)) or (
            freezing.freeze_vision_encoder and id(weight) in eyes
        )
        weight.requires_grad_(not frozen and not name.startswith(_UNUSED))
    count: int = sum(weight.numel() for weight in policy.parameters() if weight.requires_grad)
    if not count:
        raise ConfigError("freezing: expected something that learns, got nothing")
    return count


def decaying(name: str, weight: nn.Parameter) -> bool:
    """Whether a weight decays: no norm, no bias, nothing of one axis alone."""
    return weight.ndim > 1 and not name.endswith("bias") and "norm" not in name
