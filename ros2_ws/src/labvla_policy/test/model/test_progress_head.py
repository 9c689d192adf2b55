"""The part that tells how much of an episode is done: a file beside the policy's own."""

import json

import numpy as np
import pytest
import torch
from golden_support import GOLDEN, golden_inputs, golden_policy
from mini_support import mini_inputs, mini_policy, written

from labvla_policy.model.checkpoint.progress import PROGRESS_WEIGHTS
from labvla_policy.model.inference import load_policy
from labvla_policy.model.inputs import Prefix
from labvla_policy.model.progress import ProgressHead

STATE = [0.1, -0.2, 0.3, -1.5, 0.5, 1.6, 0.7, 0.03]
IMAGES = [np.full((48, 64, 3), 90, np.uint8), np.full((64, 48, 3), 200, np.uint8)]
PROMPT = "press the button"


def a_head(policy, seed=4):
    torch.manual_seed(seed)
    return ProgressHead(policy.config).eval()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    policy = mini_policy()
    return written(tmp_path_factory.mktemp("heads") / "mini", policy, progress_head=a_head(policy))


@pytest.mark.parametrize("variant", ["A", "B", "A_ki"])
def test_it_fits_every_variant_of_the_policy(variant):
    """Of B the features are as wide as the backbone, and not as the expert."""
    policy = golden_policy(variant)
    with torch.inference_mode():
        told = a_head(policy)(policy.encode(golden_inputs(policy, variant, "c0")))
    assert told.dtype == torch.float32
    assert ((told >= 0) & (told <= 1)).all()


def test_it_sees_what_the_expert_sees_and_nothing_that_is_masked():
    policy = mini_policy()
    head = a_head(policy)
    with torch.inference_mode():
        seen = policy.encode(mini_inputs(policy))
        (features,) = seen.features
        told = head.told(seen)[0]
        unseen, visible = ~seen.mask[..., None], seen.mask[..., None]
        change = torch.randn(features.shape[-1])
        for places, same in ((unseen, True), (visible, False)):
            other = head.told(Prefix((features + places * change,), seen.mask))[0]
            assert torch.allclose(other, told, atol=1e-5) == same


def test_what_was_written_is_read(folder):
    loaded = load_policy(folder)
    assert loaded.notes == ()
    torch.testing.assert_close(
        loaded.progress_head.state_dict(), a_head(loaded.policy).state_dict(), rtol=0, atol=0
    )
    answer = loaded.predict(IMAGES, STATE, PROMPT, seed=1)
    assert 0 <= answer.progress <= 1


def test_the_policy_and_its_files_are_the_same_without_it(folder, tmp_path):
    plain = written(tmp_path / "plain")
    assert {path.name for path in folder.iterdir()} - {path.name for path in plain.iterdir()} == {
        PROGRESS_WEIGHTS
    }
    for path in plain.iterdir():
        if path.name != "config.json":
            assert path.read_bytes() == (folder / path.name).read_bytes()
    with_it, without = (json.loads((one / "config.json").read_text()) for one in (folder, plain))
    assert with_it == without | {"progress_head": {"tells": "episode_share"}}
    chunks = [
        load_policy(one).predict(IMAGES, STATE, PROMPT, seed=1).chunk for one in (folder, plain)
    ]
    assert np.array_equal(*chunks)
    assert load_policy(plain).progress_head is None


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_it_is_computed_in_the_type_of_the_policy(folder, dtype):
    loaded = load_policy(folder, dtype=dtype)
    assert loaded.progress_head.queries.dtype == loaded.policy.dtype
    answer = loaded.predict(IMAGES, STATE, PROMPT, seed=1)
    exact = load_policy(folder).predict(IMAGES, STATE, PROMPT, seed=1)
    assert answer.progress == pytest.approx(exact.progress, abs=0.05)


def test_checkpoints_of_before_tell_nothing():
    loaded = load_policy(GOLDEN / "A")
    assert loaded.progress_head is None
