"""A loaded policy answers, the same for the same question."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from mini_support import mini_policy, written

from labvla_policy.model.errors import InputError, ModelError
from labvla_policy.model.inference import load_policy

STATE = [0.1, -0.2, 0.3, -1.5, 0.5, 1.6, 0.7, 0.03]
IMAGES = [np.full((48, 64, 3), 90, np.uint8), None, np.full((64, 48, 3), 200, np.uint8)]
PROMPT = "press the button"


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    return load_policy(written(tmp_path_factory.mktemp("checkpoints") / "mini"))


def test_actions_are_in_the_columns_of_the_schema(policy):
    answer = policy.predict(IMAGES, STATE, PROMPT, seed=1)
    assert answer.chunk.shape == (10, 32)
    assert answer.actions.shape == (10, 8)
    assert answer.actions.dtype == np.float32
    assert np.isfinite(answer.actions).all()


def test_one_seed_gives_one_answer(policy):
    first, again, other = (policy.predict(IMAGES, STATE, PROMPT, seed=s) for s in (3, 3, 4))
    assert np.array_equal(first.actions, again.actions)
    assert not np.array_equal(first.actions, other.actions)


def test_without_a_seed_answers_differ(policy):
    first, second = (policy.predict(IMAGES, STATE, PROMPT).chunk for _ in range(2))
    assert not np.array_equal(first, second)


def test_given_noise_is_where_the_sampler_starts(policy):
    noise = policy.noise(seed=5)[0].numpy()
    given = policy.predict(IMAGES, STATE, PROMPT, noise=noise)
    assert np.array_equal(given.chunk, policy.predict(IMAGES, STATE, PROMPT, seed=5).chunk)


def test_steps_are_the_configurations_unless_given(policy):
    usual, given, other = (
        policy.predict(IMAGES, STATE, PROMPT, seed=1, steps=steps).chunk for steps in (None, 3, 5)
    )
    assert np.array_equal(usual, given)
    assert not np.allclose(usual, other)


def test_slots_that_are_left_out_are_absent(policy):
    assert np.array_equal(
        policy.predict(IMAGES[:1], STATE, PROMPT, seed=1).chunk,
        policy.predict([IMAGES[0], None, None], STATE, PROMPT, seed=1).chunk,
    )


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ({"images": []}, "at least one camera"),
        ({"images": [None, None, None]}, "at least one camera"),
        ({"images": [np.zeros((4, 4, 5), np.uint8)]}, "image 0: expected height x width x 3"),
        ({"state": STATE[:7]}, "state: expected 8 numbers"),
        ({"state": []}, "state: expected 8 numbers"),
        ({"prompt": ""}, "prompt: expected an instruction"),
        ({"prompt": None}, "prompt: expected a text, got NoneType"),
        ({"steps": 0}, "steps: expected at least 1"),
        ({"noise": np.zeros((10, 31))}, r"noise: expected an array of shape \(10, 32\)"),
        ({"noise": np.full((10, 32), np.nan)}, "noise: holds NaN"),
        ({"noise": "loud"}, "noise: expected numbers"),
    ],
)
def test_bad_questions_are_refused_by_name(policy, question, words):
    usual = {"images": IMAGES, "state": STATE, "prompt": PROMPT}
    with pytest.raises(InputError, match=words):
        policy.predict(**(usual | question))


def test_an_answer_that_is_no_number_is_refused(tmp_path):
    network = mini_policy()
    with torch.no_grad():
        network.action_out_proj.weight.fill_(3e38)
        network.action_out_proj.bias.fill_(3e38)
    policy = load_policy(written(tmp_path / "wild", network))
    with pytest.raises(ModelError, match="NaN or infinity"):
        policy.predict(IMAGES, STATE, PROMPT, seed=0)


def test_importing_the_package_needs_no_torch():
    """The stack runs without PyTorch where no policy runs."""
    code = (
        "import sys; sys.modules['torch'] = None; import labvla_policy.model, "
        "labvla_policy.engines.registry, labvla_policy.model.errors, labvla_policy.model.config, "
        "labvla_policy.model.pipeline.schema, labvla_policy.model.pipeline.norm_stats, "
        "labvla_policy.model.pipeline.vectors"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
