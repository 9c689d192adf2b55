"""Insulation, weight by weight: what the flow teaches ends before the backbone, and only then."""

import pytest
import torch
from golden_support import golden_policy
from mini_support import mini_inputs, mini_policy
from test_golden_losses import batch_of

from labvla_policy.model.flow import FlowDraw
from labvla_policy.model.policy import TrainingBatch
from labvla_train.network.parts import Part, part_of

COLUMNS = 8
KI = {"knowledge_isolation": True, "use_fast_tokenizer": True}
NO_KI = {"knowledge_isolation": False, "use_fast_tokenizer": False}
# In the released file, used by nothing.
UNUSED = ("vlm.model.visual.deepstack_merger_list.", "vlm.lm_head.")


def golden(isolated):
    """The golden policy with parts for isolation, and a batch; the same weights in both ways."""
    policy = golden_policy("A_ki", **({} if isolated else NO_KI))
    return policy, batch_of(policy, "A_ki")


def mini(isolated):
    policy = mini_policy(**(KI if isolated else {}))
    inputs = mini_inputs(policy)
    draw = torch.Generator().manual_seed(2)
    actions = torch.randn(2, *policy.chunk_shape, generator=draw)
    tokens = torch.randint(20, (2, 6), generator=draw)
    is_pad = torch.zeros(2, policy.config.chunk_size, dtype=torch.bool)
    return policy, TrainingBatch(inputs, actions, is_pad, tokens, torch.ones_like(tokens) > 0)


def gradients(policy, batch, loss):
    """Each weight's gradient of one of the losses, None where the loss cannot reach it."""
    draw = torch.Generator().manual_seed(3)
    noise = torch.randn(batch.actions.shape, generator=draw)
    losses = policy.losses(batch, FlowDraw(noise, torch.tensor([0.2, 0.7])), COLUMNS)
    named = {
        name: weight
        for name, weight in policy.named_parameters()
        if weight.requires_grad and not name.startswith(UNUSED)
    }
    found = torch.autograd.grad(getattr(losses, loss), list(named.values()), allow_unused=True)
    return dict(zip(named, found, strict=True))


def nothing(gradient):
    return gradient is None or not gradient.any()


@pytest.mark.parametrize("network", [golden, mini])
def test_with_insulation_the_flow_reaches_no_weight_of_the_backbone(network):
    policy, batch = network(True)
    for name, gradient in gradients(policy, batch, "flow").items():
        assert nothing(gradient) is (part_of(name) is not Part.EXPERT), name


@pytest.mark.parametrize("network", [golden, mini])
def test_without_insulation_the_flow_reaches_every_weight_of_the_backbone(network):
    policy, batch = network(False)
    found = gradients(policy, batch, "flow")
    assert any(part_of(name) is Part.BACKBONE for name in found)
    for name, gradient in found.items():
        assert not nothing(gradient), name


@pytest.mark.parametrize("network", [golden, mini])
def test_the_tokens_teach_the_backbone_and_not_the_expert(network):
    policy, batch = network(True)
    for name, gradient in gradients(policy, batch, "tokens").items():
        assert nothing(gradient) is (part_of(name) is Part.EXPERT), name


def test_together_the_backbone_learns_what_the_tokens_alone_teach():
    policy, batch = golden(True)
    together = gradients(policy, batch, "total")
    alone = gradients(policy, batch, "tokens")
    for name, gradient in together.items():
        if part_of(name) is not Part.EXPERT:
            assert torch.equal(gradient, alone[name]), name
