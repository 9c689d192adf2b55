"""Pictures, words and numbers become what the public pipeline makes of them."""

import numpy as np
import pytest
import torch
from golden_support import (
    CASES,
    GOLDEN,
    PREFIX_IMAGES,
    VARIANTS,
    assert_golden,
    facts,
    frame,
    pixels,
    tensors,
)

from labvla_policy.model.checkpoint.read import describe, read_schema, read_stats, read_tokenizer
from labvla_policy.model.checkpoint.source import find_checkpoint
from labvla_policy.model.inference import load_policy
from labvla_policy.model.pipeline.pixels import PatchPlan, resize_with_pad
from labvla_policy.model.pipeline.vectors import make_plan

EVERY = 7  # of the patches, rows and columns that are kept of the golden pixels


@pytest.fixture(scope="module", params=VARIANTS)
def variant(request):
    return request.param


@pytest.fixture(scope="module")
def vectors(variant):
    folder = find_checkpoint(GOLDEN / variant)
    return make_plan(describe(folder).config, read_schema(folder), read_stats(folder))


@pytest.mark.parametrize("name", "abcde")
def test_pixels(name):
    patches = PatchPlan()(frame(name))
    assert patches.shape == (256, 1536)
    assert_golden(patches[::EVERY], pixels()[f"pixel_values.{name}"])


@pytest.mark.parametrize("name", "ce")
def test_first_resize(name):
    fitted = resize_with_pad(frame(name).float() / 255, 224, 224)
    assert_golden(fitted[:, ::EVERY, ::EVERY], pixels()[f"resized224.{name}"])


def test_every_camera_becomes_64_tokens():
    assert PatchPlan().size == (256, 256)
    assert PatchPlan().tokens == 64


def test_overshoot_of_the_enlarging_filter_is_kept():
    black_and_white = torch.zeros(3, 224, 224, dtype=torch.uint8)
    black_and_white[:, :, 112:] = 255
    patches = PatchPlan()(black_and_white)
    assert patches.min() < -1
    assert patches.max() > 1


@pytest.mark.parametrize("case", CASES)
def test_prompt(variant, case):
    tokenizer = read_tokenizer(find_checkpoint(GOLDEN / variant), 48)
    about = facts(variant)["cases"][case]
    words = tokenizer(about["prompt"])
    expected = tensors(variant)[f"{case}.input_ids"][0, PREFIX_IMAGES:].tolist()
    mask = tensors(variant)[f"{case}.attention_mask"][0, PREFIX_IMAGES:].bool().tolist()
    assert list(words.ids) == expected
    assert list(words.mask) == mask
    assert words.count == about["valid_text_tokens"]
    assert words.count + words.dropped == about["prompt_tokens_before_truncation"]
    assert bool(words.warning) == (words.dropped > 0)


@pytest.mark.parametrize("case", CASES)
def test_state(vectors, variant, case):
    state = vectors.canonical_state(tensors(variant)[f"{case}.state_raw"].numpy())
    normalised = torch.from_numpy(vectors.network_state(state))
    assert_golden(normalised, tensors(variant)[f"{case}.state_norm"][0])


@pytest.mark.parametrize("case", CASES)
def test_actions(vectors, variant, case):
    golden = tensors(variant)
    chunk, state = golden[f"{case}.chunk"][0].numpy(), golden[f"{case}.state_raw"].numpy()
    assert_golden(torch.from_numpy(vectors.denormalised(chunk)), golden[f"{case}.actions_denorm"])
    assert_golden(torch.from_numpy(vectors.restored(chunk, state)), golden[f"{case}.actions"])


def test_training_rows_are_what_restoring_undoes(vectors, variant):
    golden = tensors(variant)
    actions, state = golden["c0.actions"].numpy(), golden["c0.state_raw"].numpy()
    rows = vectors.network_actions(actions, state)
    assert rows.shape == (10, 32)
    assert not rows[:, 8:].any()
    np.testing.assert_allclose(vectors.restored(rows, state), actions, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(rows[:, :8], golden["c0.chunk"][0, :, :8], rtol=1e-3, atol=1e-4)


def test_from_frames_to_actions(variant):
    policy, golden = load_policy(GOLDEN / variant), tensors(variant)
    for case, about in facts(variant)["cases"].items():
        images = [None if slot is None else frame(slot).numpy() for slot in about["slots"]]
        answer = policy.predict(
            images,
            golden[f"{case}.state_raw"].numpy(),
            about["prompt"],
            noise=golden[f"{case}.noise"].numpy(),
        )
        assert_golden(torch.from_numpy(answer.chunk), golden[f"{case}.chunk"][0])
        assert_golden(torch.from_numpy(answer.actions), golden[f"{case}.actions"])
