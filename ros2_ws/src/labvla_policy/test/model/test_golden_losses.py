"""Losses and gradients are those of the public training code's libraries."""

from dataclasses import fields

import pytest
import torch
from golden_support import (
    VARIANTS,
    assert_golden,
    facts,
    golden_inputs,
    golden_policy,
    tensors,
)

from labvla_policy.model import flow
from labvla_policy.model.attention import Attention
from labvla_policy.model.backbone.sequence import Segment
from labvla_policy.model.flow import FlowDraw
from labvla_policy.model.inputs import PolicyInputs
from labvla_policy.model.policy import TrainingBatch

REAL_COLUMNS = 8
GRADIENT_RTOL = 1e-3
# A constant added to every key cancels in the softmax: its gradient is nothing but rounding.
ROUNDING = 1e-5


def batch_of(policy, variant):
    vectors = tensors(variant)
    cases = [golden_inputs(policy, variant, case) for case in facts(variant)["training"]["batch"]]
    inputs = PolicyInputs(
        *(
            torch.cat([getattr(case, field.name) for case in cases])
            for field in fields(PolicyInputs)
        )
    )
    assert_golden(inputs.state, vectors["train.state_norm"])
    return TrainingBatch(
        inputs,
        vectors["train.actions_norm"],
        vectors["train.action_is_pad"],
        vectors.get("train.fast_tokens"),
        vectors.get("train.fast_mask"),
    )


def losses_of(policy, variant):
    vectors = tensors(variant)
    drawn = FlowDraw(vectors["train.noise"], vectors["train.t"])
    return policy.losses(batch_of(policy, variant), drawn, REAL_COLUMNS)


@pytest.mark.parametrize("variant", VARIANTS)
def test_interpolation_target_and_velocity(variant):
    policy, vectors = golden_policy(variant), tensors(variant)
    actions, noise, time = (vectors[f"train.{name}"] for name in ("actions_norm", "noise", "t"))
    noisy = flow.interpolate(actions, noise, time)
    assert_golden(noisy, vectors["train.x_t"])
    assert_golden(flow.target_velocity(actions, noise), vectors["train.target_velocity"])
    inputs = batch_of(policy, variant).inputs
    with torch.inference_mode():
        velocity = policy.velocity(noisy, time, inputs.state, policy.encode(inputs))
    assert_golden(velocity, vectors["train.velocity"])


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
    ("weight", "name"), [(1.0, "flow_mse"), (3.0, "flow_mse_gripper_weight_3")]
)
def test_flow_loss(variant, weight, name):
    policy = golden_policy(variant, gripper_loss_weight=weight)
    with torch.inference_mode():
        losses = losses_of(policy, variant)
    assert_golden(losses.flow.reshape(1), tensors(variant)[f"train.{name}"])
    if weight == 1.0:
        assert_golden(losses.total.reshape(1), tensors(variant)["train.total"])


@pytest.mark.parametrize("variant", VARIANTS)
def test_gradient_of_every_parameter(variant):
    policy = golden_policy(variant)
    if variant != "A_ki":  # the frozen vision tower of the released fine-tuning
        for parameter in policy.vlm.vision_parameters():
            parameter.requires_grad_(False)
    losses_of(policy, variant).total.backward()
    norms = facts(variant)["training"]["grad_l2"]
    parameters = dict(policy.named_parameters(remove_duplicate=False))
    for key, expected in norms.items():
        gradient = parameters[key.removeprefix("model.")].grad
        if expected is None:
            assert gradient is None, key
        else:
            got = gradient.double().norm().item()
            assert got == pytest.approx(expected, rel=GRADIENT_RTOL, abs=ROUNDING), key


@pytest.mark.parametrize(
    ("attention", "name"),
    [(Attention.DENSE, "losses"), (Attention.DENSE_AS_FLASH, "losses_flash_like")],
)
def test_token_loss(attention, name):
    policy = golden_policy("A_ki", attention=attention)
    with torch.inference_mode():
        losses = losses_of(policy, "A_ki")
    expected = facts("A_ki")["training"][name]
    assert losses.tokens.item() == pytest.approx(expected["fast_ce"], rel=1e-4, abs=1e-5)
    assert losses.total.item() == pytest.approx(expected["total"], rel=1e-4, abs=1e-5)
    if name == "losses":
        assert_golden(losses.tokens.reshape(1), tensors("A_ki")["train.fast_ce"])


@pytest.mark.parametrize(
    ("attention", "name"),
    [
        (Attention.DENSE, "fast_ce_per_token"),
        (Attention.DENSE_AS_FLASH, "flash_like.fast_ce_per_token"),
    ],
)
def test_loss_of_each_token(attention, name):
    policy, vectors = golden_policy("A_ki", attention=attention), tensors("A_ki")
    batch = batch_of(policy, "A_ki")
    with torch.inference_mode():
        prefix = policy.embed(batch.inputs)
        embedded = policy.ki_head.embedding(batch.action_tokens)
        sequence = prefix.extended(embedded, batch.action_token_mask, Segment.ACTION)
        (hidden,) = policy.vlm(sequence)
        first = prefix.mask.shape[1] - 1
        losses = policy.ki_head.cross_entropies(
            hidden[:, first:-1], batch.action_tokens, batch.action_token_mask
        )
    assert_golden(losses, vectors[f"train.{name}"])
    seen = sequence.mask
    expected = vectors["train.position_ids"]
    assert torch.equal(sequence.positions[:, seen], expected[:, seen])


def test_flow_loss_never_reaches_an_isolated_backbone():
    policy = golden_policy("A_ki")
    losses_of(policy, "A_ki").flow.backward()
    assert all(parameter.grad is None for parameter in policy.vlm.parameters())
    assert policy.proj_vlm_to_dit.weight.grad.norm() > 0


def test_a_batch_of_padding_has_no_loss_but_a_gradient():
    predicted = torch.ones(2, 3, 4, requires_grad=True)
    is_pad = torch.ones(2, 3, dtype=torch.bool)
    loss = flow.flow_loss(predicted, torch.zeros(2, 3, 4), is_pad, torch.ones(4))
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(predicted.grad, torch.zeros(2, 3, 4))
