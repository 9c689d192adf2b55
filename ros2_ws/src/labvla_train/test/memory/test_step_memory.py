"""What a step is said to need is what it needs."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from golden_support import golden_policy
from measured_step import plan
from mini_support import mini_policy

from labvla_policy.model.errors import ConfigError
from labvla_train.memory.estimate import StepPlan, estimate
from labvla_train.memory.meter import MemoryMeter
from labvla_train.network.lora import LoraSettings
from labvla_train.network.parts import Freezing

KI = {"knowledge_isolation": True, "use_fast_tokenizer": True}


def small(batch=2, **fields):
    return plan(batch=batch, **fields)


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_tensors_are_counted_as_long_as_they_live(device):
    with MemoryMeter() as meter:
        first = torch.zeros(1000, device=device)
        view = first.view(10, 100)
        del first
        assert meter.bytes == 4000
        second = view + 1
        assert meter.bytes == 8000
        del second
        assert (meter.bytes, meter.peak) == (4000, 8000)
        del view
        assert (meter.bytes, meter.peak) == (0, 8000)
    assert meter.hold([torch.zeros(3, device=device)]) == 12


@pytest.mark.parametrize("fields", [{}, KI])
def test_shapes_alone_tell_what_a_real_step_takes(fields):
    def build():
        return mini_policy(**fields)

    told, taken = estimate(build, small()), estimate(build, small(), "cpu")
    assert told.flops > 0
    assert replace(told, flops=0) == taken


def test_the_parts_of_the_sum():
    found = estimate(mini_policy, small())
    assert found.trained == found.parameters
    assert found.gradients == 4 * found.trained
    assert found.optimiser >= 8 * found.trained
    assert found.masters == 0
    assert found.total == found.states + found.working
    assert found.shared(2) == found.states // 2 + found.working
    assert found.as_json()["total"] == found.total


def test_fewer_bits_have_a_full_copy_beside_them():
    found = estimate(mini_policy, small(precision="bfloat16"))
    assert found.masters == 4 * found.parameters
    assert found.gradients == 4 * found.trained
    frozen = estimate(mini_policy, small(precision="bfloat16", lora=LoraSettings(rank=2)))
    assert frozen.masters == 4 * frozen.trained


def test_a_larger_batch_keeps_more():
    one, four = (estimate(mini_policy, small(batch=batch)) for batch in (1, 4))
    assert four.activations > 3 * one.activations
    assert four.flops == pytest.approx(4 * one.flops)
    assert four.states == one.states


def test_layers_that_are_computed_twice_keep_less():
    def build():
        return golden_policy("A")

    kept = estimate(build, small())
    again = estimate(build, small(recompute=("language", "vision", "expert")))
    assert again.activations < 0.4 * kept.activations
    assert again.flops > kept.flops
    assert again.states == kept.states


def test_additions_have_few_gradients_and_states():
    def build():
        return golden_policy("A")

    whole = estimate(build, small())
    added = estimate(build, small(lora=LoraSettings(rank=2)))
    assert added.trained < 0.6 * whole.trained
    assert added.optimiser < 0.6 * whole.optimiser


def test_tokens_alone_keep_nothing_of_the_expert():
    def build():
        return mini_policy(**KI)

    both = estimate(build, small())
    alone = estimate(
        build,
        small(
            tokens_alone=True,
            freezing=Freezing(freeze_vision_encoder=False, train_vlm_only=True),
        ),
    )
    assert alone.trained < both.trained
    assert alone.activations < both.activations


def test_a_batch_of_nothing_is_refused():
    with pytest.raises(ConfigError, match="batch"):
        StepPlan(batch=0)


@pytest.mark.long
def test_the_process_takes_what_was_said():
    """The operating system's own count; it also sees what libraries keep beside tensors."""
    script = Path(__file__).with_name("measured_step.py")
    run = subprocess.run(
        [sys.executable, script], check=True, capture_output=True, text=True, timeout=900
    )
    found = json.loads(run.stdout.splitlines()[-1])
    assert 0.8 < found["measured"] / found["expected"] < 1.3, found
