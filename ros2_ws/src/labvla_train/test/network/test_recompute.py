"""Computing layers twice changes memory, not gradients."""

import pytest
import torch
from golden_support import golden_policy
from test_golden_losses import losses_of

from labvla_policy.model.errors import ConfigError
from labvla_train.network.recompute import TOWERS, recompute


def gradients(policy):
    losses_of(policy, "A").total.backward()
    return {name: w.grad for name, w in policy.named_parameters() if w.grad is not None}


def test_gradients_are_the_same():
    kept, again = golden_policy("A"), golden_policy("A")
    assert recompute(again, TOWERS) == 4 + 4 + 4
    expected = gradients(kept)
    found = gradients(again)
    assert found.keys() == expected.keys()
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, expected[name], rtol=0, atol=0)


def test_names_of_weights_stay():
    policy = golden_policy("A")
    names = policy.state_dict().keys()
    recompute(policy, TOWERS)
    assert policy.state_dict().keys() == names


def test_twice_and_unknown_towers_are_refused():
    policy = golden_policy("A")
    recompute(policy, ("expert",))
    with pytest.raises(ConfigError, match="already"):
        recompute(policy, ("expert",))
    with pytest.raises(ConfigError, match="expected some of language, vision, expert, got eyes"):
        recompute(policy, ("eyes",))
