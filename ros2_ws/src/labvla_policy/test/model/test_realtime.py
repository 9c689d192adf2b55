"""The policy that is asked again and again: the same numbers, and nothing done twice."""

from contextlib import contextmanager

import pytest
import torch
from golden_support import (
    CASES,
    VARIANTS,
    assert_golden,
    golden_inputs,
    golden_policy,
    tensors,
)
from mini_support import mini_inputs, mini_policy
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from labvla_policy.model.attention import Attention
from labvla_policy.model.errors import ConfigError
from labvla_policy.model.realtime import (
    Cancelled,
    RealtimePolicy,
    RealtimeSettings,
    chosen,
)
from labvla_policy.model.rtc import Continuation

ROWS, COLUMNS, REAL = 10, 32, 8


@contextmanager
def calls_of(module):
    """Count how often a module is called."""
    seen = []
    hook = module.register_forward_hook(lambda _, inputs, output: seen.append(inputs))
    yield seen
    hook.remove()


def continuing(chunk, known=6, frozen=3, away=0.3):
    return Continuation.of(chunk[:known, :REAL] + away, frozen, ROWS, COLUMNS)


@pytest.mark.parametrize("variant", VARIANTS)
def test_chunks_are_the_golden_ones(variant):
    live = RealtimePolicy(golden_policy(variant))
    for case in CASES:
        live.observe(golden_inputs(golden_policy(variant), variant, case))
        chunk = live.sample(tensors(variant)[f"{case}.noise"])
        assert_golden(chunk, tensors(variant)[f"{case}.chunk"])


def test_several_samples_are_each_what_they_would_be_alone():
    policy, vectors = golden_policy("A"), tensors("A")
    noise = torch.cat([vectors[f"{case}.noise"] for case in CASES])
    live = RealtimePolicy(policy, RealtimeSettings(samples=3))
    live.observe(golden_inputs(policy, "A", "c0"))
    together = live.sample(noise)
    assert_golden(together[:1], vectors["c0.chunk"])
    alone = RealtimePolicy(policy)
    alone.observe(golden_inputs(policy, "A", "c0"))
    assert_golden(together, torch.cat([alone.sample(one[None]) for one in noise]))


def test_the_backbone_runs_once_for_an_observation_and_never_for_a_chunk():
    policy = golden_policy("A")
    live = RealtimePolicy(policy)
    noise = tensors("A")["c0.noise"]
    with calls_of(policy.vlm) as backbone:
        live.observe(golden_inputs(policy, "A", "c0"))
        for _ in range(3):
            live.sample(noise)
    assert len(backbone) == 1


def test_keys_are_made_once_for_an_observation_and_times_once_for_ever():
    policy = golden_policy("A")
    live = RealtimePolicy(policy)
    first, second = policy.dit_action_head.transformer_blocks[:2]
    with (
        calls_of(first.attn1.to_k) as of_the_prefix,
        calls_of(second.attn1.to_k) as of_the_chunk,
        calls_of(first.norm1.linear) as of_the_time,
        calls_of(policy.vlm.model.visual) as seen,
    ):
        live.observe(golden_inputs(policy, "A", "c0"))
        live.sample(tensors("A")["c0.noise"])
    assert len(of_the_prefix) == 1
    assert len(of_the_chunk) == policy.config.num_inference_steps
    assert len(of_the_time) == 0
    assert [len(pixels) for (pixels,) in seen] == [3]  # all cameras in one batch


@pytest.mark.parametrize(("variant", "length"), [("A", 246), ("A_ki", 247)])
def test_shapes_and_places_are_fixed_whatever_is_seen(variant, length):
    policy = golden_policy(variant)
    live = RealtimePolicy(policy)
    places = set()
    with calls_of(policy.vlm.model.language_model) as backbone:
        for case in CASES:
            live.observe(golden_inputs(policy, variant, case))
            places.add(live._inputs.pixels.data_ptr())
    assert {inputs[0].embeddings.shape[1] for inputs in backbone} == {length}
    assert len(places) == 1


class OnTheDevice(TorchDispatchMode):
    """Fails where something is computed elsewhere, or brought over: a graph could not hold it."""

    def __torch_dispatch__(self, function, kinds, values=(), options=None):
        for value in tree_leaves((values, options)):
            wrong = isinstance(value, torch.Tensor) and value.device.type != "meta"
            # A single number is an argument of the kernel, not a tensor in memory.
            assert not wrong or value.ndim == 0, f"{function} on {value.device}"
        return function(*values, **(options or {}))


@pytest.mark.parametrize(
    ("variant", "trained"), [("A", False), ("A_ki", False), ("B", False), ("A", True)]
)
def test_nothing_is_read_back_from_the_device_while_a_chunk_is_made(variant, trained):
    """What a CUDA graph forbids cannot be tried without CUDA. On the device that has shapes and no
    values, reading a value back fails; so does bringing one over."""
    policy = golden_policy(variant, rtc_trained_prefix=trained).to("meta")
    with OnTheDevice():
        live = RealtimePolicy(policy, RealtimeSettings(samples=2))
    assert live.loop(continued=True).result.shape == (2, ROWS, COLUMNS)
    assert live.continuing == ("trained" if trained else "guided")


def test_graphs_are_for_cuda_alone():
    assert not RealtimePolicy(mini_policy(), RealtimeSettings(graphs=True)).graphs


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_guided_chunk_comes_near_to_what_it_has_to_continue(variant):
    policy, vectors = golden_policy(variant), tensors(variant)
    live = RealtimePolicy(policy)
    live.observe(golden_inputs(policy, variant, "c0"))
    plain = live.sample(vectors["c0.noise"])
    continuation = continuing(plain[0])
    guided = live.sample(vectors["c0.noise"], continuation)
    assert continuation.distance(guided) < 0.1 * continuation.distance(plain)
    assert_golden(live.sample(vectors["c0.noise"]), vectors["c0.chunk"])  # nothing is left behind


def test_a_trained_chunk_has_its_frozen_rows_exactly():
    policy = mini_policy(rtc_trained_prefix=True)
    live = RealtimePolicy(policy, RealtimeSettings(steps=10))
    live.observe(mini_inputs(policy, batch=1))
    noise = torch.randn(1, ROWS, COLUMNS, generator=torch.Generator().manual_seed(0))
    plain = live.sample(noise)
    continuation = continuing(plain[0])
    chunk = live.sample(noise, continuation)
    frozen = continuation.target[:3, :REAL]
    torch.testing.assert_close(chunk[0, :3, :REAL], frozen, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(chunk[0, 3:], plain[0, 3:])


def test_a_time_for_every_row_is_the_time_of_all_where_they_are_equal():
    policy, inputs = mini_policy(), mini_inputs(mini_policy(), batch=2)
    chunk, prefix = torch.zeros(2, ROWS, COLUMNS), policy.encode(inputs)
    time = torch.tensor([0.2, 0.7])
    each = time[:, None].expand(2, ROWS)
    assert_golden(
        policy.velocity(chunk, each, inputs.state, prefix),
        policy.velocity(chunk, time, inputs.state, prefix),
    )


def test_without_rtc_what_is_committed_changes_nothing():
    policy, vectors = golden_policy("A"), tensors("A")
    live = RealtimePolicy(policy, RealtimeSettings(continuing="off"))
    live.observe(golden_inputs(policy, "A", "c0"))
    chunk = live.sample(vectors["c0.noise"], continuing(vectors["c0.chunk"][0]))
    assert_golden(chunk, vectors["c0.chunk"])


def test_a_chunk_that_nobody_waits_for_ends_between_two_steps():
    policy, vectors = golden_policy("A"), tensors("A")
    live = RealtimePolicy(policy)
    live.observe(golden_inputs(policy, "A", "c0"))
    answers = iter([False, False, False, True])
    with calls_of(policy.action_out_proj) as steps, pytest.raises(Cancelled):
        live.sample(vectors["c0.noise"], cancelled=lambda: next(answers))
    assert len(steps) == 2
    assert_golden(live.sample(vectors["c0.noise"]), vectors["c0.chunk"])


def test_of_several_chunks_the_one_that_continues_is_chosen():
    chunks = torch.randn(4, ROWS, COLUMNS, generator=torch.Generator().manual_seed(0))
    continuation = continuing(chunks[2], away=0.01)
    assert chosen(chunks, REAL, continuation) is not None
    torch.testing.assert_close(chosen(chunks, REAL, continuation), chunks[2])


def test_without_anything_to_continue_the_most_central_chunk_is_chosen():
    """Two ways around an obstacle, one of them more often: never the middle between them."""
    chunks = torch.zeros(5, ROWS, COLUMNS)
    chunks[:3, :, 0] = torch.tensor([0.9, 1.0, 1.1])[:, None]
    chunks[3:, :, 0] = -1.0
    chunks[:, :, REAL:] = torch.randn(5, ROWS, COLUMNS - REAL) * 100  # padding says nothing
    torch.testing.assert_close(chosen(chunks, REAL, None), chunks[0])


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"samples": 0}, "samples: expected 1 to 64, got 0"),
        ({"samples": 65}, "samples: expected 1 to 64, got 65"),
        ({"steps": 0}, "steps: expected 1 to 1000"),
        ({"products": 0}, "products: expected 1 to 10"),
        ({"continuing": "trained"}, "expected a checkpoint that was trained"),
    ],
)
def test_settings_that_make_no_sense(settings, complaint):
    with pytest.raises(ConfigError, match=complaint):
        RealtimePolicy(mini_policy(), RealtimeSettings(**settings))


def test_flash_attention_is_refused():
    policy = mini_policy()
    policy.vlm.attention = Attention.FLASH
    with pytest.raises(ConfigError, match="use sdpa"):
        RealtimePolicy(policy)
