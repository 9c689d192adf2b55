"""From stage to stage: what is written, what it may be used for, what the next one begins with."""

import pytest
import torch
from golden_support import golden_policy
from mini_support import description_of, mini_inputs, mini_policy, written
from test_golden_losses import batch_of
from test_lora import moved

from labvla_policy.model.checkpoint.read import describe, load_network
from labvla_policy.model.checkpoint.source import CheckpointFolder
from labvla_policy.model.errors import CheckpointError, ConfigError
from labvla_policy.model.flow import FlowDraw
from labvla_train.network.lora import LoraSettings, add_lora
from labvla_train.network.parts import Freezing, Part, freeze, part_of
from labvla_train.network.save import write_first_stage, write_trained
from labvla_train.network.start import start_from

KI = {"knowledge_isolation": True, "use_fast_tokenizer": True}


def same(policy, other, parts):
    weights = dict(other.named_parameters())
    return {
        part: all(
            torch.equal(weight, weights[name])
            for name, weight in policy.named_parameters()
            if part_of(name) is part
        )
        for part in parts
    }


@pytest.fixture
def first_stage(tmp_path):
    policy = mini_policy(**KI)
    folder = tmp_path / "first"
    write_first_stage(folder, policy, description_of(policy))
    return policy, CheckpointFolder(folder)


def test_tokens_alone_have_the_golden_loss_and_leave_the_expert_alone():
    policy = golden_policy("A_ki")
    freeze(policy, Freezing(freeze_vision_encoder=False, train_vlm_only=True))
    batch = batch_of(policy, "A_ki")
    loss = policy.token_loss(batch)
    noise = torch.zeros_like(batch.actions)
    both = policy.losses(batch, FlowDraw(noise, torch.zeros(len(noise))), 8)
    assert torch.equal(loss, both.tokens)  # which is compared with the golden vectors
    loss.backward()
    for name, weight in policy.named_parameters():
        learns = weight.requires_grad
        assert learns is (weight.grad is not None), name
        assert not (learns and part_of(name) is Part.EXPERT), name


def test_nobody_lets_the_first_stage_act(first_stage):
    _, folder = first_stage
    with pytest.raises(ConfigError, match="no action expert"):
        describe(folder)


def test_isolation_begins_with_the_first_stage_and_a_new_expert(first_stage):
    taught, folder = first_stage
    policy = mini_policy(seed=1, **KI)
    expert = mini_policy(seed=1, **KI)
    begun = start_from(folder, policy)
    assert same(policy, taught, Part) == {
        Part.BACKBONE: True,
        Part.TOKENS: True,
        Part.EXPERT: False,
    }
    assert same(policy, expert, [Part.EXPERT]) == {Part.EXPERT: True}
    assert begun.lines() == ("begins anew: dit",)


def test_fine_tuning_begins_with_an_isolated_policy_without_its_tokens(tmp_path):
    isolated = mini_policy(**KI)
    folder = CheckpointFolder(written(tmp_path / "isolated", isolated))
    policy = mini_policy(seed=1)
    begun = start_from(folder, policy)
    assert same(policy, isolated, [Part.BACKBONE, Part.EXPERT]) == {
        Part.BACKBONE: True,
        Part.EXPERT: True,
    }
    assert begun.lines() == ("left aside: ki",)


def test_isolation_can_begin_with_a_policy_that_knows_no_tokens(tmp_path):
    folder = CheckpointFolder(written(tmp_path / "plain", mini_policy()))
    begun = start_from(folder, mini_policy(seed=1, **KI))
    assert begun.lines() == ("begins anew: ki",)


def test_anything_else_that_is_missing_is_refused(tmp_path, first_stage):
    deeper = mini_policy(dit_num_layers=4)
    folder = CheckpointFolder(written(tmp_path / "plain", mini_policy()))
    with pytest.raises(CheckpointError, match="missing"):
        start_from(folder, deeper)
    with pytest.raises(CheckpointError, match="of another shape"):
        start_from(first_stage[1], mini_policy(**KI, discrete_action_vocab_size=30))


def test_merged_additions_are_an_ordinary_checkpoint(tmp_path):
    policy = mini_policy()
    description = description_of(policy)
    add_lora(policy, LoraSettings(rank=4))
    moved(policy)
    write_trained(tmp_path / "merged", policy, description)
    files = describe(CheckpointFolder(tmp_path / "merged"))
    read, notes = load_network(files, device=torch.device("cpu"), dtype=torch.float32)
    assert notes == ()
    inputs = mini_inputs(policy)
    noise = torch.randn(2, *policy.chunk_shape)
    with torch.no_grad():
        torch.testing.assert_close(
            read.sample(inputs, noise), policy.sample(inputs, noise), rtol=1e-4, atol=1e-5
        )
