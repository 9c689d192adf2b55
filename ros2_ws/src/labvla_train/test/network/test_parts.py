"""Groups and frozen weights are those of the released recipes."""

import pytest
from golden_support import facts, golden_policy
from mini_support import mini_policy
from test_golden_losses import losses_of

from labvla_policy.model.errors import ConfigError
from labvla_train import optimizer
from labvla_train.network.parts import Freezing, Part, freeze, part_of
from labvla_train.settings import OptimizerSettings


@pytest.mark.parametrize("variant", ["A", "A_ki"])
def test_every_weight_that_learns_is_in_one_group(variant):
    policy = golden_policy(variant)
    freeze(policy, Freezing(freeze_vision_encoder=False))
    rates = OptimizerSettings(backbone_rate=1e-5, expert_rate=1e-4)
    grouped = {}
    for group in optimizer.groups(policy, rates):
        for name in group["names"]:
            assert name not in grouped
            grouped[name] = group["highest"]
    learning = {name for name, weight in policy.named_parameters() if weight.requires_grad}
    assert grouped.keys() == learning
    for name, rate in grouped.items():
        assert rate == (1e-5 if part_of(name) is Part.BACKBONE else 1e-4), name
    assert part_of("ki_head.classifier.weight") is part_of("state_vlm_proj.bias") is Part.TOKENS
    assert part_of("proj_vlm_to_dit.weight") is part_of("action_in_proj.weight") is Part.EXPERT


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
