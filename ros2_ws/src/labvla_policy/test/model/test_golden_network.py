"""The network computes what the libraries that the public policy was built on compute."""

import pytest
import torch
from golden_support import (
    CASES,
    PREFIX_IMAGES,
    VARIANTS,
    assert_golden,
    golden_inputs,
    golden_policy,
    tensors,
)

from labvla_policy.model import flow
from labvla_policy.model.backbone.rope import vision_angles
from labvla_policy.model.expert import time_sinusoid

BF16_MEAN, BF16_MAX = 0.03, 0.2


@pytest.fixture(scope="module", params=VARIANTS)
def variant(request):
    return request.param


@pytest.fixture(scope="module")
def policy(variant):
    return golden_policy(variant)


@pytest.fixture(autouse=True)
def _without_gradients():
    with torch.inference_mode():
        yield


def recorded(modules):
    """Collect the outputs of modules by name while they run."""
    outputs = {}
    for name, module in modules.items():

        def keep(_module, _inputs, output, name=name):
            outputs[name] = output

        module.register_forward_hook(keep)
    return outputs


def seen_by_all(vectors, case, full=False):
    """Which positions are not masked; with the state token in front if `full`."""
    mask = vectors[f"{case}.attention_mask"][0].bool()
    return torch.cat([mask.new_ones(1), mask]) if full else mask


@pytest.mark.parametrize("case", CASES)
def test_prefix_tokens_mask_and_positions(policy, variant, case):
    vectors, inputs = tensors(variant), golden_inputs(policy, variant, case)
    torch.testing.assert_close(policy.vlm.token_ids(inputs.text_ids), vectors[f"{case}.input_ids"])
    prefix = policy.vlm.embed_prefix(inputs)
    assert torch.equal(prefix.mask, vectors[f"{case}.attention_mask"].bool())
    seen = seen_by_all(vectors, case)
    expected = vectors[f"{case}.position_ids"]
    assert torch.equal(prefix.positions[:, 0, seen], expected[:, 0, seen])


@pytest.mark.parametrize("case", CASES)
def test_state_token_and_shifted_positions(case):
    vectors, policy = tensors("A_ki"), golden_policy("A_ki")
    sequence = policy.embed(golden_inputs(policy, "A_ki", case))
    assert_golden(sequence.embeddings[:, :1], vectors[f"{case}.ki.state_token"])
    seen = seen_by_all(vectors, case, full=True)
    expected = vectors[f"{case}.ki.position_ids"]
    assert torch.equal(sequence.positions[:, 0, seen], expected[:, 0, seen])


def test_every_stage_of_the_vision_tower(variant):
    policy, vectors = golden_policy(variant), tensors(variant)
    tower = policy.vlm.model.visual
    blocks = {f"block{index}": block for index, block in enumerate(tower.blocks)}
    stages = {"patch_embed": tower.patch_embed, "pos_embed": tower.position_grid, **blocks}
    outputs = recorded(stages)
    tower(golden_inputs(policy, variant, "c0").pixels[0])
    for name in stages:
        stage = outputs[name].reshape(-1, outputs[name].shape[-1])[:256]
        assert_golden(stage, vectors[f"c0.vision.{name}"])
    angles = vision_angles(16, 16, 16, 2, torch.float32)
    assert_golden(angles, vectors["c0.vision.rope_angles"])


@pytest.mark.parametrize("case", CASES)
def test_vision_features(policy, variant, case):
    features = policy.vlm.model.visual(golden_inputs(policy, variant, case).pixels[0])
    assert_golden(features.flatten(0, 1), tensors(variant)[f"{case}.vision_features"])


def test_every_stage_of_the_language_layers(variant):
    policy, vectors = golden_policy(variant), tensors(variant)
    text = policy.vlm.model.language_model
    stages = {f"layer{index}": layer for index, layer in enumerate(text.layers)}
    outputs = recorded(stages | {"rope": text.rotary})
    sequence = policy.embed(golden_inputs(policy, variant, "c0"))
    policy.vlm(sequence)
    isolated = variant == "A_ki"
    seen = seen_by_all(vectors, "c0", full=isolated)
    first = int(isolated)
    assert_golden(sequence.embeddings[:, first:], vectors["c0.lm.inputs_embeds"])
    for rope, name in zip(outputs["rope"], ("rope_cos", "rope_sin"), strict=True):
        assert_golden(rope[0, seen], vectors[f"c0.lm.{name}"][0, seen])
    for name in stages:
        assert_golden(outputs[name][0, seen], vectors[f"c0.lm.{name}"][0, seen])


@pytest.mark.parametrize("case", CASES)
def test_hidden_states_and_features(policy, variant, case):
    vectors, inputs = tensors(variant), golden_inputs(policy, variant, case)
    sequence = policy.embed(inputs)
    (hidden,) = policy.vlm(sequence)
    assert torch.isfinite(hidden).all()  # also where nothing can be seen and nobody looks
    seen = seen_by_all(vectors, case)
    if variant == "A_ki":
        if f"{case}.ki.lm_out_full" in vectors:
            full = seen_by_all(vectors, case, full=True)
            assert_golden(hidden[0, full], vectors[f"{case}.ki.lm_out_full"][0, full])
        hidden = hidden[:, 1:]
    assert_golden(hidden[0, seen], vectors[f"{case}.lm_out"][0, seen])
    prefix = policy.encode(inputs)
    assert torch.equal(prefix.mask, vectors[f"{case}.attention_mask"].bool())
    if f"{case}.features" in vectors:
        assert_golden(prefix.features[0][0, seen], vectors[f"{case}.features"][0, seen])


def test_time_embedding(policy, variant):
    vectors = tensors(variant)
    assert_golden(time_sinusoid(vectors["time.t"]), vectors["time.sinusoid"])
    assert_golden(policy.dit_action_head.embed_time(vectors["time.t"]), vectors["time.temb"])


@pytest.mark.parametrize("case", CASES)
def test_every_stage_of_the_expert(variant, case):
    policy, vectors = golden_policy(variant), tensors(variant)
    expert, inputs = policy.dit_action_head, golden_inputs(policy, variant, case)
    stages = {"out_norm": expert, "temb": expert.timestep_encoder}
    for index, block in enumerate(expert.transformer_blocks):
        parts = {"adaln": block.norm1, "attn_in": block.pos_embed, "ff_out": block.ff}
        parts |= {"attn_out": block.attn1, "out": block}
        stages |= {f"block{index}.{name}": part for name, part in parts.items()}
    outputs = recorded(stages)
    noise = vectors[f"{case}.noise"]
    velocity = policy.velocity(noise, torch.zeros(1), inputs.state, policy.encode(inputs))
    outputs |= {"velocity": velocity, "suffix": policy.embed_suffix(noise, inputs.state)}
    checked = [name for name in outputs if f"{case}.step0.{name}" in vectors]
    assert len(checked) == sum(name.startswith(f"{case}.step0.") for name in vectors)
    for name in checked:
        assert_golden(outputs[name], vectors[f"{case}.step0.{name}"])


@pytest.mark.parametrize("case", CASES)
def test_every_step_of_the_sampler(policy, variant, case):
    vectors, inputs = tensors(variant), golden_inputs(policy, variant, case)
    prefix = policy.encode(inputs)
    cross_kv = policy.cross_kv(prefix)
    points, velocities = [], []

    def velocity(chunk, time):
        points.append(chunk)
        velocities.append(policy.velocity(chunk, time, inputs.state, prefix, cross_kv))
        return velocities[-1]

    chunk = flow.euler(velocity, vectors[f"{case}.noise"], 10)
    assert_golden(torch.stack([*points, chunk]), vectors[f"{case}.euler_x"])
    assert_golden(torch.stack(velocities), vectors[f"{case}.euler_v"])
    assert_golden(chunk, vectors[f"{case}.chunk"])
    assert chunk.dtype == torch.float32


LAYERWISE = ("opt_layerwise", {"dit_layerwise_vlm_features": True})
NO_INTERLEAVE = ("opt_no_interleave", {"dit_interleave_self_attention": False})
BLOCK_MASK = ("opt_blockmask", {"pi05_block_attention_mask": True})


@pytest.mark.parametrize(
    ("variant", "option", "fields"),
    [
        ("A", *LAYERWISE),
        ("A", *NO_INTERLEAVE),
        ("A", *BLOCK_MASK),
        ("B", *LAYERWISE),
        ("B", *BLOCK_MASK),
        ("A_ki", *BLOCK_MASK),
    ],
)
def test_options(variant, option, fields):
    vectors, policy = tensors(variant), golden_policy(variant, **fields)
    cases = [case for case in CASES if f"{case}.{option}.chunk" in vectors]
    assert cases
    for case in cases:
        inputs = golden_inputs(policy, variant, case)
        chunk = policy.sample(inputs, vectors[f"{case}.noise"])
        assert_golden(chunk, vectors[f"{case}.{option}.chunk"])


def test_rounded_tables(variant):
    policy, vectors = golden_policy(variant, table_dtype=torch.bfloat16), tensors(variant)
    for case in CASES:
        inputs = golden_inputs(policy, variant, case)
        chunk = policy.sample(inputs, vectors[f"{case}.noise"])
        assert_golden(chunk, vectors[f"{case}.rope16.chunk"])
    sequence = policy.embed(golden_inputs(policy, variant, "c0"))
    seen = seen_by_all(vectors, "c0")
    hidden = policy.vlm(sequence)[0][:, -len(seen) :]
    assert_golden(hidden[0, seen], vectors["c0.rope16.lm_out"][0, seen])


def test_bfloat16(variant):
    policy = golden_policy(variant, dtype=torch.bfloat16, table_dtype=torch.bfloat16)
    vectors = tensors(variant)
    for case in CASES:
        inputs = golden_inputs(policy, variant, case)
        chunk = policy.sample(inputs, vectors[f"{case}.noise"])
        difference = (chunk - vectors[f"{case}.bf16.chunk"]).abs()
        assert difference.mean() < BF16_MEAN
        assert difference.max() < BF16_MAX
    sequence = policy.embed(golden_inputs(policy, variant, "c0"))
    seen = seen_by_all(vectors, "c0")
    hidden = policy.vlm(sequence)[0][:, -len(seen) :]
    difference = (hidden - vectors["c0.bf16.lm_out"])[0, seen].abs()
    assert difference.mean() < BF16_MEAN
    assert difference.max() < BF16_MAX


def test_several_samples_of_one_observation(policy, variant):
    """Rows of a batch do not touch each other, and the prefix is encoded once for all of them."""
    vectors, inputs = tensors(variant), golden_inputs(policy, variant, "c0")
    noise = torch.cat([vectors["c0.noise"], -vectors["c0.noise"]])
    prefix = policy.encode(inputs).repeat(2)
    cross_kv, state = policy.cross_kv(prefix), inputs.state.repeat(2, 1)
    both = flow.euler(lambda x, t: policy.velocity(x, t, state, prefix, cross_kv), noise, 10)
    assert_golden(both[:1], vectors["c0.chunk"])
    assert not torch.allclose(both[1], both[0])


def test_absent_camera_and_padding_change_nothing(policy, variant):
    """Pixels of an absent camera and ids of padded words have no effect at all."""
    inputs = golden_inputs(policy, variant, "c1")
    pixels, text = inputs.pixels.clone(), inputs.text_ids.clone()
    pixels[:, 2] = 7.0
    text[~inputs.text_mask] = 5
    other = type(inputs)(pixels, inputs.image_mask, text, inputs.text_mask, inputs.state)
    noise = tensors(variant)["c1.noise"]
    torch.testing.assert_close(
        policy.sample(other, noise), policy.sample(inputs, noise), rtol=1e-5, atol=1e-5
    )


def test_prefix_length_never_changes(policy, variant):
    lengths = {policy.embed(golden_inputs(policy, variant, case)).mask.shape[1] for case in CASES}
    assert lengths == {PREFIX_IMAGES + 48 + (variant == "A_ki")}
