"""A batch's tokens: real columns, clipped, padding as zeros; what is left out is counted."""

import numpy as np
import pytest
import torch
from motions import motions

from labvla_policy.model.errors import ConfigError
from labvla_train.fast.batch import ActionTokens
from labvla_train.fast.fit import fit_tokenizer

WIDTH = 32


@pytest.fixture(scope="module")
def tokenizer():
    return fit_tokenizer(motions(200), vocab_size=300)


def padded(chunks):
    actions = torch.zeros(*chunks.shape[:2], WIDTH)
    actions[..., : chunks.shape[2]] = torch.from_numpy(chunks)
    return actions, torch.zeros(chunks.shape[:2], dtype=torch.bool)


def test_tokens_are_those_of_each_sample(tokenizer):
    chunks = motions(3, seed=7)
    actions, is_pad = padded(chunks)
    batch = ActionTokens(tokenizer, 8, 240, 2048)(actions, is_pad)
    for sample, chunk in enumerate(chunks):
        kept = batch.tokens[sample][batch.mask[sample]].tolist()
        assert kept == tokenizer.encode(chunk.astype(np.float32))
    assert not batch.tokens[~batch.mask].any()
    assert batch.cut == 0


def test_values_are_clipped_and_counted(tokenizer):
    actions, is_pad = padded(np.zeros((1, 10, 8)))
    actions[0, 0, 0] = 3.0
    actions[0, 0, 20] = 9.0  # padding columns mean nothing
    batch = ActionTokens(tokenizer, 8, 240, 2048)(actions, is_pad)
    assert batch.clipped == pytest.approx(1 / 80)
    actions[0, 0, 0] = 1.0
    again = ActionTokens(tokenizer, 8, 240, 2048)(actions, is_pad)
    assert torch.equal(batch.tokens, again.tokens)


def test_padded_rows_are_zeros_and_padded_samples_have_no_tokens(tokenizer):
    chunks = motions(2, seed=8)
    actions, is_pad = padded(chunks)
    is_pad[0, 4:] = True
    is_pad[1] = True
    batch = ActionTokens(tokenizer, 8, 240, 2048)(actions, is_pad)
    chunks[0, 4:] = 0
    assert batch.tokens[0][batch.mask[0]].tolist() == tokenizer.encode(chunks[0])
    assert not batch.mask[1].any()


def test_a_batch_of_padding_still_has_a_place(tokenizer):
    actions, is_pad = padded(motions(2))
    batch = ActionTokens(tokenizer, 8, 240, 2048)(actions, ~is_pad)
    assert batch.tokens.shape == (2, 1)
    assert not batch.mask.any()
    assert batch.clipped == 0


def test_what_does_not_fit_is_cut_and_counted(tokenizer):
    actions, is_pad = padded(motions(4, seed=9))
    whole = ActionTokens(tokenizer, 8, 240, 2048)(actions, is_pad)
    cut = ActionTokens(tokenizer, 8, 5, 2048)(actions, is_pad)
    assert cut.cut == 4
    assert torch.equal(cut.tokens, whole.tokens[:, :5])


def test_a_head_that_is_too_small_is_refused(tokenizer):
    with pytest.raises(ConfigError, match=r"at least the \d+ entries"):
        ActionTokens(tokenizer, 8, 240, 100)
