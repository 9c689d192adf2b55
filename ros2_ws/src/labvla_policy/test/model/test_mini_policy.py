"""The same policy around a small backbone."""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from mini_support import a_backbone, a_config, mini_inputs, mini_policy, written

from labvla_policy.model import flow
from labvla_policy.model.backbone.mini import MiniConfig, mini_config
from labvla_policy.model.build import build_policy
from labvla_policy.model.errors import ConfigError
from labvla_policy.model.inference import load_policy
from labvla_policy.model.policy import TrainingBatch

# What is meant to be bundled: about 5 million weights in 15 MB.
BUNDLED = {
    "dtype": "float32",
    "attn_implementation": "sdpa",
    "image_resolution": (128, 128),
    "tokenizer_max_length": 16,
    "chunk_size": 16,
    "n_action_steps": 16,
    "dit_num_layers": 4,
    "dit_num_heads": 6,
    "dit_head_dim": 32,
}
LARGEST_BUNDLE = 15_000_000


def batch_for(policy, tokens=4):
    config, inputs = policy.config, mini_inputs(policy)
    draw = torch.Generator().manual_seed(2)
    shape = (2, config.chunk_size, config.max_action_dim)
    return TrainingBatch(
        inputs,
        torch.randn(shape, generator=draw),
        torch.zeros(shape[:2], dtype=torch.bool),
        torch.randint(config.discrete_action_vocab_size, (2, tokens), generator=draw),
        torch.ones(2, tokens, dtype=torch.bool),
    )


def test_it_is_small_enough_to_bundle():
    with torch.device("meta"):
        policy = build_policy(a_config(**BUNDLED), MiniConfig(vocab_size=2048).as_json(), {})
    weights = sum(parameter.numel() for parameter in policy.parameters())
    assert weights > 3_000_000
    assert sum(2 * tensor.numel() for tensor in policy.state_dict().values()) < LARGEST_BUNDLE


def test_it_needs_no_transformers():
    code = (
        "import sys; from labvla_policy.model import inference; "
        "sys.exit('transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_chunk_depends_on_everything_that_is_seen():
    policy = mini_policy()
    inputs, noise = mini_inputs(policy, batch=1), torch.zeros(1, 10, 32)
    with torch.inference_mode():
        chunk = policy.sample(inputs, noise)
        for name in ("pixels", "text_ids", "state"):
            changed = dict(vars(inputs))
            changed[name] = changed[name].flip(-1)
            assert not torch.allclose(policy.sample(type(inputs)(**changed), noise), chunk), name


def test_masked_cameras_and_words_have_no_effect():
    policy = mini_policy()
    inputs, noise = mini_inputs(policy, batch=1), torch.zeros(1, 10, 32)
    mask = torch.tensor([[True, False, True]])
    seen = dict(vars(inputs)) | {"image_mask": mask}
    pixels, words = inputs.pixels.clone(), inputs.text_ids.clone()
    pixels[:, 1] = 9.0
    words[:, 5:] = 3
    with torch.inference_mode():
        torch.testing.assert_close(
            policy.sample(type(inputs)(**seen), noise),
            policy.sample(type(inputs)(**(seen | {"pixels": pixels, "text_ids": words})), noise),
        )


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"dit_layerwise_vlm_features": True, "dit_num_layers": 4},
        {"dit_interleave_self_attention": False},
        {"dit_cross_attention_dim": 48},
        {"knowledge_isolation": True, "use_fast_tokenizer": True},
    ],
)
def test_every_kind_of_policy_learns(fields):
    policy = mini_policy(**fields).train()
    batch = batch_for(policy)
    drawn = flow.draw(batch.actions, flow.TimeSampling(), torch.Generator().manual_seed(3))
    optimizer = torch.optim.Adam(policy.parameters(), lr=3e-3)
    losses = []
    for _ in range(25):
        optimizer.zero_grad()
        loss = policy.losses(batch, drawn, real_columns=8).total
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_several_draws_of_one_encoding_are_the_mean_of_each():
    policy = mini_policy()
    batch = batch_for(policy)
    drawn = flow.draw(batch.actions, flow.TimeSampling(), torch.Generator().manual_seed(3), draws=3)
    each = [
        policy.losses(batch, flow.FlowDraw(drawn.noise[n::3], drawn.time[n::3]), 8).total
        for n in range(3)
    ]
    together = policy.losses(batch, drawn, 8).total
    assert together.item() == pytest.approx(torch.stack(each).mean().item(), rel=1e-5)


def test_given_rows_are_looked_at_and_not_learnt():
    policy = mini_policy()
    batch = batch_for(policy)
    drawn = flow.draw(batch.actions, flow.TimeSampling(), torch.Generator().manual_seed(3))
    rows = drawn.time[:, None].expand(-1, batch.actions.shape[1])
    plain = policy.losses(batch, drawn, 8).total
    none_given = policy.losses(batch, flow.FlowDraw(drawn.noise, rows), 8).total
    assert none_given.item() == pytest.approx(plain.item(), rel=1e-5)
    all_given = policy.losses(batch, flow.FlowDraw(drawn.noise, torch.ones_like(rows)), 8).total
    assert all_given.item() == 0
    first_given = rows.clone()
    first_given[:, 0] = 1
    learnt = policy.losses(batch, flow.FlowDraw(drawn.noise, first_given), 8).total
    actions = batch.actions.clone()
    actions[:, 0] += 1  # other given rows lead to other predictions of the rest
    other = replace(batch, actions=actions)
    assert policy.losses(other, flow.FlowDraw(drawn.noise, first_given), 8).total != learnt


def test_isolation_keeps_the_flow_out_of_the_backbone():
    policy = mini_policy(knowledge_isolation=True, use_fast_tokenizer=True)
    batch = batch_for(policy)
    drawn = flow.draw(batch.actions, flow.TimeSampling(), torch.Generator().manual_seed(3))
    losses = policy.losses(batch, drawn, real_columns=8)
    losses.flow.backward(retain_graph=True)
    assert all(parameter.grad is None for parameter in policy.vlm.parameters())
    losses.tokens.backward()
    assert policy.vlm.words.weight.grad.norm() > 0


def test_isolation_without_tokens_is_refused():
    policy = mini_policy(knowledge_isolation=True, use_fast_tokenizer=True)
    batch = batch_for(policy)
    batch = TrainingBatch(batch.inputs, batch.actions, batch.action_is_pad)
    with pytest.raises(ValueError, match="expected action tokens"):
        policy.losses(batch, flow.draw(batch.actions, flow.TimeSampling()), real_columns=8)


def test_action_tokens_do_not_change_the_prefix():
    """What the expert sees in training is what it sees at run time."""
    policy = mini_policy(knowledge_isolation=True, use_fast_tokenizer=True)
    batch = batch_for(policy)
    with torch.inference_mode():
        alone = policy.embed(batch.inputs)
        longer = alone.extended(
            policy.ki_head.embedding(batch.action_tokens), batch.action_token_mask, 2
        )
        length = alone.mask.shape[1]
        torch.testing.assert_close(policy.vlm(longer)[0][:, :length], policy.vlm(alone)[0])


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"hidden_size": 50}, "hidden_size: expected a multiple of 2 x num_attention_heads"),
        ({"eye_channels": (8, 8)}, "three multiples of 8"),
        ({"eye_channels": (8, 8, 9)}, "three multiples of 8"),
        ({"vocab_size": 0}, "vocab_size: expected at least 1"),
        ({"camera_slots": 0}, "camera_slots"),
    ],
)
def test_wrong_sizes_are_refused(fields, words):
    with pytest.raises(ConfigError, match=words):
        a_backbone(**fields)


def test_a_backbone_of_unknown_kind_is_refused():
    with pytest.raises(ConfigError, match="expected qwen3_vl or labvla_mini, got 'magic'"):
        build_policy(a_config(), {"model_type": "magic"}, {})
    with pytest.raises(ConfigError, match="vocab_size is missing"):
        mini_config({})


def test_pictures_that_do_not_fit_its_stride_are_refused():
    with pytest.raises(ConfigError, match="multiples of 16"):
        mini_policy(image_resolution=(64, 60))


def test_more_cross_attentions_than_layers_are_refused():
    with pytest.raises(ConfigError, match="at most 3 cross-attentions"):
        mini_policy(dit_layerwise_vlm_features=True, dit_num_layers=8)


def test_a_width_that_fits_nothing_is_refused():
    with pytest.raises(ConfigError, match=r"expected 48 \(the backbone's width\) or null, got 40"):
        mini_policy(dit_cross_attention_dim=40)


def test_its_checkpoint_is_a_checkpoint_like_any_other(tmp_path):
    policy = mini_policy()
    again = load_policy(written(tmp_path / "mini", policy)).policy
    inputs, noise = mini_inputs(policy), torch.zeros(2, 10, 32)
    with torch.inference_mode():
        torch.testing.assert_close(again.sample(inputs, noise), policy.sample(inputs, noise))


def test_a_backbone_as_wide_as_the_expert_needs_no_projection(tmp_path):
    policy = mini_policy(dit_num_heads=3)
    assert not list(policy.proj_vlm_to_dit.parameters())
    assert load_policy(written(tmp_path / "mini", policy)).notes == ()


def test_half_precision_is_a_way_to_keep_weights_not_to_compute_on_a_cpu(tmp_path):
    policy = mini_policy()
    folder = written(tmp_path / "mini", policy.half())
    assert load_policy(folder).policy.dtype == torch.float32
    assert load_policy(folder, dtype="float16").policy.dtype == torch.float16
