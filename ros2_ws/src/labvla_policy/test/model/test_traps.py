"""Ways to be silently wrong that no golden number of another test shows by itself."""

import math
import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from golden_support import (
    PREFIX_IMAGES,
    VARIANTS,
    facts,
    golden_inputs,
    golden_policy,
    tensors,
)

from labvla_policy.model import expert

ROOT = Path(__file__).resolve().parents[5]
TRAPS = range(1, 31)


@pytest.mark.parametrize("variant", VARIANTS)
def test_deepstack_weights_feed_nothing(variant):
    policy, noise = golden_policy(variant), tensors(variant)["c0.noise"]
    inputs = golden_inputs(policy, variant, "c0")
    with torch.inference_mode():
        before = policy.sample(inputs, noise)
        for parameter in policy.vlm.model.visual.deepstack_merger_list.parameters():
            parameter.fill_(1e6)
        assert torch.equal(policy.sample(inputs, noise), before)


def test_pictures_do_not_see_the_words_but_words_see_the_pictures():
    policy = golden_policy("A")
    inputs = golden_inputs(policy, "A", "c0")
    other_words = replace(inputs, text_ids=inputs.text_ids.flip(1))
    other_pictures = replace(inputs, pixels=inputs.pixels.flip(1))
    with torch.inference_mode():
        hidden, worded, pictured = (
            policy.vlm(policy.embed(seen))[0] for seen in (inputs, other_words, other_pictures)
        )
    assert torch.equal(hidden[:, :PREFIX_IMAGES], worded[:, :PREFIX_IMAGES])
    assert not torch.allclose(hidden[:, PREFIX_IMAGES], pictured[:, PREFIX_IMAGES])


def test_the_state_reaches_the_backbone_only_under_isolation():
    for variant, reaches in (("A", False), ("B", False), ("A_ki", True)):
        policy = golden_policy(variant)
        inputs = golden_inputs(policy, variant, "c0")
        with torch.inference_mode():
            here, there = (
                policy.encode(replace(inputs, state=state)).features[0]
                for state in (inputs.state, inputs.state + 1)
            )
        assert torch.equal(here, there) != reaches


def _sinusoid(time, *, factor=1, sines_first=False, spread=127):
    angles = factor * time[:, None] * torch.exp(-math.log(10_000) * torch.arange(128) / spread)
    parts = [angles.cos(), angles.sin()]
    return torch.cat(parts[::-1] if sines_first else parts, dim=-1)


MISTAKES = {
    "t1000": ("time_sinusoid", partial(_sinusoid, factor=1000)),
    "sin_first": ("time_sinusoid", partial(_sinusoid, sines_first=True)),
    "k128": ("time_sinusoid", partial(_sinusoid, spread=128)),
    "eps_block": ("BLOCK_EPS", 1e-6),
    "eps_out": ("OUTPUT_EPS", 1e-5),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_golden_numbers_tell_mistakes(monkeypatch, mistake):
    """Each moves the chunk by what was recorded for it: far beyond the tolerance."""
    policy, vectors = golden_policy("A"), tensors("A")
    monkeypatch.setattr(expert, *MISTAKES[mistake])
    with torch.inference_mode():
        chunk = policy.sample(golden_inputs(policy, "A", "c1"), vectors["c1.noise"])
    change = (chunk - vectors["c1.chunk"]).abs().max().item()
    recorded = facts("A")["wrong_choice_max_abs_change_of_chunk"][mistake]["c1"]
    assert change == pytest.approx(recorded, rel=0.3)


def test_every_trap_has_a_test():
    """The table in docs/model.md names tests that exist."""
    text = (ROOT / "docs" / "model.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| [^|]+ \| ([^|]+) \|$", text, flags=re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(TRAPS)
    sources = [
        path.read_text(encoding="utf-8") for path in (ROOT / "ros2_ws/src").rglob("test_*.py")
    ]
    tests = set(re.findall(r"^def (test_\w+)\(", "\n".join(sources), flags=re.MULTILINE))
    for number, named in rows:
        wanted = set(re.findall(r"`(test_\w+)`", named))
        assert wanted, number
        assert wanted <= tests, (number, wanted - tests)
