"""Low-rank additions learn beside frozen matrices and are merged into an ordinary checkpoint."""

import pytest
import torch
from golden_support import golden_inputs, golden_policy
from mini_support import mini_inputs, mini_policy

from labvla_policy.model.errors import ConfigError
from labvla_train import optimizer
from labvla_train.network.lora import LoraSettings, add_lora, merged_state
from labvla_train.network.parts import Freezing, Part, freeze, part_of
from labvla_train.settings import OptimizerSettings


def case(name):
    if name == "mini":
        policy = mini_policy()
        return policy, mini_inputs(policy)
    policy = golden_policy("A")
    return policy, golden_inputs(policy, "A", "c0")


def moved(policy):
    """As after some training: additions that are not zero."""
    draw = torch.Generator().manual_seed(4)
    for name, weight in policy.named_parameters():
        if name.endswith("lora_up"):
            weight.data = 0.3 * torch.randn(weight.shape, generator=draw)
    return policy


def chunk(policy, inputs):
    noise = torch.zeros(len(inputs.state), *policy.chunk_shape)
    with torch.no_grad():
        return policy.sample(inputs, noise, 2)


@pytest.mark.parametrize("kind", ["mini", "golden"])
def test_at_first_nothing_changes_and_after_merging_nothing_does(kind):
    policy, inputs = case(kind)
    before, names = chunk(policy, inputs), policy.state_dict().keys()
    add_lora(policy, LoraSettings(rank=4))
    assert torch.equal(chunk(policy, inputs), before)
    moved(policy)
    after = chunk(policy, inputs)
    assert not torch.allclose(after, before, atol=1e-3)
    merged = {name: make() for name, make in merged_state(policy).items()}
    assert merged.keys() == names
    plain, _ = case(kind)
    plain.load_state_dict(merged)
    torch.testing.assert_close(chunk(plain, inputs), after, rtol=1e-4, atol=1e-5)


def test_of_the_backbone_the_additions_alone_learn():
    policy, _ = case("golden")
    freeze(policy, Freezing(freeze_vision_encoder=False))
    changed = add_lora(policy, LoraSettings(rank=4))
    assert len(changed) == 4 * 7  # layers, and matrices of each
    learning = {name for name, weight in policy.named_parameters() if weight.requires_grad}
    assert {name for name in learning if part_of(name) is Part.BACKBONE} == {
        f"{layer}.{side}" for layer in changed for side in ("lora_down", "lora_up")
    }
    assert any(part_of(name) is Part.EXPERT for name in learning)
    groups = optimizer.groups(policy, OptimizerSettings())
    assert sorted(name for group in groups for name in group["names"]) == sorted(learning)


def test_only_the_targets_are_changed():
    policy, _ = case("golden")
    changed = add_lora(policy, LoraSettings(targets=("q_proj", "v_proj")))
    assert {name.rpartition(".")[2] for name in changed} == {"q_proj", "v_proj"}


def test_additions_stay_in_fp32_and_matrices_in_their_type():
    policy = golden_policy("A", dtype=torch.bfloat16)
    inputs = golden_inputs(policy, "A", "c0")
    add_lora(policy, LoraSettings(rank=2))
    after = chunk(moved(policy), inputs)
    assert after.isfinite().all()
    assert {make().dtype for make in merged_state(policy).values()} == {torch.bfloat16}
    kinds = {weight.dtype for name, weight in policy.named_parameters() if "lora_" in name}
    assert kinds == {torch.float32}


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"rank": 0}, "rank"),
        ({"alpha": 0.0}, "alpha"),
        ({"targets": ("q_proj", "query")}, "expected some of .*q_proj.* got query"),
    ],
)
def test_wrong_settings_are_refused_by_name(fields, what):
    with pytest.raises(ConfigError, match=what):
        add_lora(case("golden")[0], LoraSettings(**fields))


def test_twice_is_refused():
    policy, _ = case("mini")
    add_lora(policy, LoraSettings())
    with pytest.raises(ConfigError, match="already"):
        add_lora(policy, LoraSettings())
