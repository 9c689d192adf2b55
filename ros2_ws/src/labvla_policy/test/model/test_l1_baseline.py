"""The baseline: the same network, which answers a chunk at once instead of following a flow."""

import pytest
import torch
from mini_support import a_config, mini_inputs, mini_policy, written

from labvla_policy.model.checkpoint.read import describe, load_network
from labvla_policy.model.checkpoint.source import CheckpointFolder
from labvla_policy.model.errors import ConfigError
from labvla_policy.model.flow import FlowDraw
from labvla_policy.model.policy import TrainingBatch
from labvla_policy.model.realtime import RealtimePolicy, RealtimeSettings

L1 = {"objective": "l1", "num_inference_steps": 1}
COLUMNS = 8


def batch_of(policy):
    draw = torch.Generator().manual_seed(5)
    actions = torch.randn(2, *policy.chunk_shape, generator=draw)
    is_pad = torch.zeros(2, policy.config.chunk_size, dtype=torch.bool)
    is_pad[1, 6:] = True
    return TrainingBatch(mini_inputs(policy), actions, is_pad)


def drawn(batch, seed):
    draw = torch.Generator().manual_seed(seed)
    return FlowDraw(torch.randn(batch.actions.shape, generator=draw), torch.rand(2, generator=draw))


def test_it_has_the_size_of_the_flow_policy():
    flow, baseline = mini_policy(), mini_policy(**L1)
    shapes = {name: weight.shape for name, weight in flow.state_dict().items()}
    assert {name: weight.shape for name, weight in baseline.state_dict().items()} == shapes


def test_its_loss_is_the_distance_of_its_answer():
    policy = mini_policy(**L1)
    batch = batch_of(policy)
    with torch.no_grad():
        answer = policy.sample(batch.inputs, torch.zeros_like(batch.actions))
        loss = policy.losses(batch, drawn(batch, 6), COLUMNS).total
    real = ~batch.action_is_pad
    expected = (answer - batch.actions)[real][:, :COLUMNS].abs().mean()
    torch.testing.assert_close(loss, expected)


def test_the_gripper_weighs_as_told():
    policy = mini_policy(**L1, gripper_action_dims=(7,), gripper_loss_weight=3.0)
    batch = batch_of(policy)
    with torch.no_grad():
        answer = policy.sample(batch.inputs, torch.zeros_like(batch.actions))
        loss = policy.losses(batch, drawn(batch, 6), COLUMNS).total
    errors = (answer - batch.actions)[~batch.action_is_pad][:, :COLUMNS].abs()
    errors[:, 7] *= 3
    torch.testing.assert_close(loss, errors.mean())


def test_chance_changes_neither_loss_nor_answer():
    policy = mini_policy(**L1)
    batch = batch_of(policy)
    one, other = (policy.losses(batch, drawn(batch, seed), COLUMNS).total for seed in (6, 7))
    assert torch.equal(one, other)
    noises = [torch.randn(batch.actions.shape) for _ in range(2)]
    with torch.no_grad():
        assert torch.equal(*(policy.sample(batch.inputs, noise) for noise in noises))


def test_on_the_robot_it_answers_the_same():
    policy = mini_policy(**L1)
    inputs = mini_inputs(policy, batch=1)
    noise = torch.randn(1, *policy.chunk_shape)
    with torch.no_grad():
        expected = policy.sample(inputs, noise)
    live = RealtimePolicy(policy, RealtimeSettings(graphs=False))
    live.observe(inputs)
    assert live.continuing == "off"
    torch.testing.assert_close(live.sample(noise), expected)
    assert torch.equal(live.sample(noise), live.sample(torch.zeros_like(noise)))


def test_its_folder_says_what_it_is(tmp_path):
    folder = written(tmp_path / "baseline", mini_policy(**L1))
    files = describe(CheckpointFolder(folder))
    assert files.config.objective == "l1"
    assert not files.notes
    policy, _ = load_network(files, device=torch.device("cpu"), dtype=torch.float32)
    inputs = mini_inputs(policy)
    noise = torch.randn(2, *policy.chunk_shape)
    with torch.no_grad():
        assert torch.equal(policy.sample(inputs, noise), policy.sample(inputs, 0 * noise))


def test_what_makes_no_sense_with_it_is_refused():
    with pytest.raises(ConfigError, match="num_inference_steps: expected 1"):
        a_config(objective="l1", num_inference_steps=4)
    with pytest.raises(ConfigError, match="rtc_trained_prefix"):
        a_config(**L1, rtc_trained_prefix=True)
    policy = mini_policy(**L1)
    with pytest.raises(ConfigError, match="steps: expected 1"):
        policy.sample(mini_inputs(policy), torch.zeros(2, *policy.chunk_shape), steps=5)
    with pytest.raises(ConfigError, match="rtc: expected off"):
        RealtimePolicy(policy, RealtimeSettings(continuing="guided"))
