"""The published processor's tokenizer is read, and its tokens and chunks are made."""

import json
from pathlib import Path

import numpy as np
import pytest

from labvla_train.fast.tokenizer import FastTokenizer

GOLDEN = Path(__file__).parent / "golden"
VECTORS = json.loads((GOLDEN / "vectors.json").read_text())


@pytest.fixture(scope="module")
def tokenizer():
    return FastTokenizer.load(GOLDEN)


def test_tokens_are_the_published_ones(tokenizer):
    assert tokenizer.encode_many(np.array(VECTORS["chunks"])) == VECTORS["tokens"]


def test_chunks_are_the_published_ones(tokenizer):
    for tokens, expected in zip(VECTORS["tokens"], VECTORS["decoded"], strict=True):
        decoded = tokenizer.decode(tokens)
        assert decoded.problem is None
        np.testing.assert_allclose(decoded.chunk, expected, atol=1e-8)


def test_tokens_without_a_meaning_become_zeros_as_published_and_say_so(tokenizer):
    for tokens, expected in zip(
        VECTORS["undecodable"], VECTORS["undecodable_decoded"], strict=True
    ):
        decoded = tokenizer.decode(tokens)
        assert "expected 10 x 8" in decoded.problem
        np.testing.assert_array_equal(decoded.chunk, expected)


def test_the_stock_library_reads_what_is_written(tokenizer, tmp_path):
    from transformers import PreTrainedTokenizerFast

    tokenizer.save(tmp_path)
    stock = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    (text, *_) = tokenizer.texts(np.array(VECTORS["chunks"][:1]))
    assert stock(text)["input_ids"] == VECTORS["tokens"][0]
    assert stock.decode(VECTORS["tokens"][0]) == text
