"""Pictures are varied a little, each in its own way, however they are stored."""

import numpy as np
import pytest
import torch
from train_support import SIZE, tiny, write_dataset

from labvla_policy.model.pipeline.pixels import PlainPlan
from labvla_policy.model.pipeline.text import PromptTokenizer
from labvla_policy.model.pipeline.vectors import make_plan
from labvla_train.augment import varied
from labvla_train.batches import BatchMaker, Reading
from labvla_train.demonstrations import read_demonstrations
from labvla_train.frames import DecodedFrames
from labvla_train.origin import own_config
from labvla_train.samples import Sample
from labvla_train.settings import AugmentSettings
from labvla_train.vocabulary import PAD, word_tokenizer

SAMPLES = [Sample(0, 2), Sample(1, 4)]


def chance(seed=0):
    return np.random.default_rng(seed)


def picture():
    return chance(1).integers(60, 190, (24, 24, 3), dtype=np.uint8)


def test_nothing_is_varied_unless_told_so():
    assert np.array_equal(varied(picture(), AugmentSettings(), chance()), picture())


@pytest.mark.parametrize(
    "name", ["brightness", "contrast", "tint", "saturation", "sharpness"]
)  # fmt: skip
def test_every_colour_setting_varies_by_itself_and_by_chance(name):
    settings = AugmentSettings(**{name: 0.4})
    first, again, other = (varied(picture(), settings, chance(seed)) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first, picture())
    assert first.dtype == np.uint8


def test_a_shift_moves_the_picture_as_a_whole():
    shifted = varied(picture(), AugmentSettings(shift=3), chance(8))
    inner = shifted[3:-3, 3:-3]
    moves = range(7)
    assert any(
        np.array_equal(inner, picture()[down : down + 18, right : right + 18])
        for down in moves
        for right in moves
    )
    assert not np.array_equal(shifted, picture())


def maker(folder, augment):
    settings = tiny(folder)
    demonstrations = read_demonstrations([folder], settings.network.policy["chunk_size"])
    tokenizer = word_tokenizer(["press", "the", "start", "button", "pick", "up", "beaker"])
    reading = Reading(
        vectors=make_plan(own_config(settings), demonstrations.schema, demonstrations.stats),
        tokenizer=PromptTokenizer(tokenizer, tokenizer.token_to_id(PAD), 8),
        pixels=PlainPlan((SIZE, SIZE)),
        slots=2,
        chunk=6,
        held=False,
    )
    frames = DecodedFrames(demonstrations.dataset, demonstrations.cameras)
    return BatchMaker(demonstrations, [frames], reading, augment, None, seed=0)


def test_one_step_is_varied_as_it_was_before_and_the_next_one_otherwise(dataset):
    made = maker(dataset, AugmentSettings(brightness=0.3, state_noise=0.1))
    first, again, other = (made.varied(SAMPLES, step).training.inputs for step in (5, 5, 6))
    assert torch.equal(first.pixels, again.pixels)
    assert torch.equal(first.state, again.state)
    assert not torch.equal(first.pixels, other.pixels)
    assert not torch.equal(first.state[:, :7], other.state[:, :7])
    assert torch.equal(first.state[:, 7], other.state[:, 7])  # the gripper's column is told as is


def test_what_is_done_is_not_varied(dataset):
    made = maker(dataset, AugmentSettings(brightness=0.3, state_noise=0.5))
    varied_, plain = made.varied(SAMPLES, 1).training, made.plain(SAMPLES).training
    assert torch.equal(varied_.actions, plain.actions)


def test_png_pictures_are_varied_as_videos_are(tmp_path):
    folder = write_dataset(tmp_path / "png", (8, 8), images="png")
    made = maker(folder, AugmentSettings(brightness=0.3))
    varied_, plain = made.varied(SAMPLES, 1).training.inputs, made.plain(SAMPLES).training.inputs
    assert not torch.equal(varied_.pixels, plain.pixels)


def test_words_are_lost_and_hidden_but_never_all(dataset):
    made = maker(dataset, AugmentSettings(lost_words=1.0))
    assert made.varied(SAMPLES, 1).training.inputs.text_mask.any(dim=1).all()
    hidden = maker(dataset, AugmentSettings(unknown_words=1.0)).varied(SAMPLES, 1)
    ids, mask = hidden.training.inputs.text_ids, hidden.training.inputs.text_mask
    assert set(ids[mask].tolist()) == {1}
