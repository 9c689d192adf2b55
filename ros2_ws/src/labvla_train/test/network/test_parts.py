"""Groups and frozen weights are those of the released recipes."""

import pytest
import torch
from golden_support import facts, golden_policy
from mini_support import mini_policy
from test_golden_losses import losses_of

from labvla_policy.model.errors import ConfigError
from labvla_train.network.parts import (
    Freezing,
    Part,
    Rates,
    decaying,
    freeze,
    parameter_groups,
    part_of,
)

ALL = Freezing(freeze_vision_encoder=False)


def named_groups(policy):
    names = {id(weight): name for name, weight in policy.named_parameters()}
    return {
        group["name"]: ({names[id(weight)] for weight in group["params"]}, group)
        for group in parameter_groups(policy, Rates(vlm=1e-5, dit=1e-4, weight_decay=0.01))
    }


@pytest.mark.parametrize("variant", ["A", "A_ki"])
def test_every_weight_that_learns_is_in_one_group(variant):
    policy = golden_policy(variant)
    freeze(policy, ALL)
    groups = named_groups(policy)
    grouped = [name for names, _ in groups.values() for name in names]
    learning = [name for name, weight in policy.named_parameters() if weight.requires_grad]
    assert sorted(grouped) == sorted(learning)


def test_rates_and_decay():
    policy = golden_policy("A_ki")
    freeze(policy, ALL)
    for name, (members, group) in named_groups(policy).items():
        part, _, plain = name.partition(".")
        assert {part_of(member) for member in members} == {part}
        assert group["lr"] == (1e-5 if part == "vlm" else 1e-4)
        assert group["weight_decay"] == (0 if plain else 0.01)
    assert part_of("ki_head.classifier.weight") is part_of("state_vlm_proj.bias") is Part.TOKENS
    assert part_of("proj_vlm_to_dit.weight") is part_of("action_in_proj.weight") is Part.EXPERT


def test_norms_biases_and_single_axes_do_not_decay():
    flat, matrix = (torch.nn.Parameter(torch.zeros(shape)) for shape in ((3,), (3, 3)))
    assert decaying("vlm.layers.0.qkv.weight", matrix)
    assert not decaying("vlm.layers.0.input_layernorm.weight", flat)
    assert not decaying("dit_action_head.transformer_blocks.0.norm1.linear.weight", matrix)
    assert not decaying("state_proj.bias", flat)
    assert not decaying("vlm.eyes.0.stages.0.weight", flat)


@pytest.mark.parametrize("variant", ["A", "B", "A_ki"])
def test_what_learns_is_what_has_a_gradient(variant):
    """As golden: no weight waits for a gradient that never comes, none is left out."""
    policy = golden_policy(variant)
    freeze(policy, Freezing(freeze_vision_encoder=variant != "A_ki"))
    losses_of(policy, variant).total.backward()
    norms = facts(variant)["training"]["grad_l2"]
    for name, weight in policy.named_parameters():
        golden_norm = norms[f"model.{name}"]
        assert weight.requires_grad is (golden_norm is not None) is (weight.grad is not None), name


def test_parts_can_be_left_as_they_are():
    policy = mini_policy(knowledge_isolation=True, use_fast_tokenizer=True)

    def learning(**fields):
        freeze(policy, Freezing(**fields))
        return {part_of(name) for name, weight in policy.named_parameters() if weight.requires_grad}

    assert learning() == set(Part)
    assert not any(eye.requires_grad for eye in policy.vlm.vision_parameters())
    assert learning(train_expert_only=True) == {Part.EXPERT}
    assert learning(train_vlm_only=True) == {Part.BACKBONE, Part.TOKENS}
    with pytest.raises(ConfigError, match="exclude each other"):
        Freezing(train_expert_only=True, train_vlm_only=True)
