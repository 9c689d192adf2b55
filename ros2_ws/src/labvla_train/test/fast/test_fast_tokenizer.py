"""Action tokens: what is lost is rounding alone, and what cannot be written down is refused."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from motions import motions

from labvla_policy.model.errors import CheckpointError, ConfigError, InputError
from labvla_train.fast.coefficients import cosines, largest, quantised, restored
from labvla_train.fast.fit import fit_tokenizer
from labvla_train.fast.report import measure
from labvla_train.fast.tokenizer import FastSettings, FastTokenizer

ROWS, COLUMNS, ENTRIES = 10, 8, 300
# Rounding moves each coefficient by half a unit at most, and the transform keeps lengths.
ROUNDING = 0.5 * np.sqrt(ROWS) / 10


@pytest.fixture(scope="module")
def tokenizer():
    return fit_tokenizer(motions(400), vocab_size=ENTRIES)


def chunks(rows=ROWS, columns=COLUMNS):
    return arrays(np.float64, (rows, columns), elements=st.floats(-1, 1))


@settings(deadline=None, max_examples=60, derandomize=True)
@given(chunks())
def test_whatever_a_robot_does_comes_back_but_for_rounding(tokenizer, chunk):
    decoded = tokenizer.decode(tokenizer.encode(chunk))
    assert decoded.problem is None
    lost = np.linalg.norm(decoded.chunk - chunk, axis=0)
    assert (lost <= ROUNDING + 1e-9).all()


@settings(deadline=None, max_examples=60, derandomize=True)
@given(st.integers(1, 60), st.floats(0.5, 200))
def test_no_coefficient_is_beyond_the_alphabet(rows, scale):
    signs = np.where(cosines(rows) < 0, -1.0, 1.0).T  # the chunks with the largest coefficients
    assert np.abs(quantised(signs, scale)).max() <= largest(rows, scale)


@settings(deadline=None, max_examples=30, derandomize=True)
@given(st.integers(1, 60))
def test_the_transform_is_orthonormal(rows):
    np.testing.assert_allclose(cosines(rows) @ cosines(rows).T, np.eye(rows), atol=1e-12)
    constant = np.ones((rows, 1))
    np.testing.assert_allclose((cosines(rows) @ constant)[1:], 0, atol=1e-9)


def test_coefficients_that_are_whole_come_back_exactly():
    whole = np.random.default_rng(0).integers(-9, 9, size=(ROWS, COLUMNS))
    np.testing.assert_array_equal(quantised(restored(whole, 10), 10), whole)


def test_a_finer_scale_loses_less():
    some = motions(100)
    errors = [
        measure(fit_tokenizer(some, scale=scale, vocab_size=600), some, limit=240).error_rms
        for scale in (5, 10, 20)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 2 * errors[-1]


def test_fitting_again_gives_the_same_file_whatever_the_order(tokenizer, tmp_path):
    shuffled = motions(400)[np.random.default_rng(1).permutation(400)]
    tokenizer.save(tmp_path / "one")
    fit_tokenizer(shuffled, vocab_size=ENTRIES).save(tmp_path / "other")
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "other" / path.name).read_bytes(), path.name


def test_a_folder_is_read_as_it_was_written(tokenizer, tmp_path):
    tokenizer.save(tmp_path)
    read = FastTokenizer.load(tmp_path)
    assert read.settings == tokenizer.settings
    some = motions(20, seed=5)
    assert read.encode_many(some) == tokenizer.encode_many(some)


def test_byte_pairs_are_worth_having(tokenizer):
    report = measure(tokenizer, motions(200, seed=2), limit=240)
    assert report.entries == ENTRIES
    assert report.numbers_per_token > 2
    assert report.error_rms < 0.5 / 10
    assert report.too_long == 0
    assert measure(tokenizer, motions(200, seed=2), limit=5).too_long == 1
    assert len(report.error_rms_by_column) == COLUMNS
    assert report.as_json()["tokens_most"] >= report.tokens_p99 > 0
    assert any("numbers in a token" in line for line in report.lines())


@pytest.mark.parametrize(
    ("chunk", "what"),
    [
        (np.full((ROWS, COLUMNS), np.nan), "NaN"),
        (np.full((ROWS, COLUMNS), 1.1), r"clipped to -1 and 1, got 1\.1"),
        (np.zeros((ROWS, COLUMNS + 1)), "10 rows x 8 columns, got 10 x 9"),
        (np.zeros((ROWS - 1, COLUMNS)), "10 rows x 8 columns, got 9 x 8"),
        (np.zeros(ROWS), "rows x columns"),
    ],
)
def test_what_is_no_chunk_is_refused(tokenizer, chunk, what):
    with pytest.raises(InputError, match=what):
        tokenizer.encode(chunk)


def test_values_that_the_alphabet_lacks_are_refused_not_dropped(tokenizer):
    narrow = FastTokenizer(tokenizer._byte_pairs, FastSettings(min_token=0, vocab_size=ENTRIES))
    with pytest.raises(InputError, match="fitted to other data"):
        narrow.encode(-np.ones((ROWS, COLUMNS)))
    far = FastTokenizer(tokenizer._byte_pairs, FastSettings(min_token=-5000, vocab_size=ENTRIES))
    with pytest.raises(InputError, match="alphabet lacks"):
        far.encode(np.ones((ROWS, COLUMNS)))


def test_ids_that_do_not_exist_and_broken_texts_decode_to_zeros(tokenizer):
    tokens = tokenizer.encode(np.zeros((ROWS, COLUMNS)))
    assert tokenizer.decode([*tokens, 10**6, -1]).problem is None  # as published: left out
    assert not tokenizer.decode([10**6]).chunk.any()
    wide = fit_tokenizer(motions(50, rows=50), vocab_size=ENTRIES)  # values above 127: two bytes
    halves = [token for token in range(wide.entries) if wide._read([token]) == "\ufffd"]
    broken = wide.decode(halves[:1] * 400)
    assert broken.problem == "the 400 tokens are no text"
    assert not broken.chunk.any()


def test_without_a_shape_it_has_to_be_given(tokenizer):
    free = FastTokenizer(tokenizer._byte_pairs, FastSettings(min_token=-32, vocab_size=ENTRIES))
    tokens = free.encode(np.zeros((ROWS, COLUMNS)))
    with pytest.raises(InputError, match="rows and columns"):
        free.decode(tokens)
    assert free.decode(tokens, ROWS, COLUMNS).problem is None


def test_more_letters_than_entries_are_refused():
    with pytest.raises(InputError, match="smaller scale"):
        fit_tokenizer(motions(5), scale=100, vocab_size=60)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"scale": 0}, "above 0"),
        ({"scale": "ten"}, "scale: expected a number"),
        ({"min_token": None}, "min_token: expected a number"),
        ({"vocab_size": 10}, "vocab_size"),
        ({"action_dim": 0}, "action_dim"),
    ],
)
def test_damaged_folders_are_refused_by_name(tokenizer, tmp_path, change, what):
    tokenizer.save(tmp_path)
    path = tmp_path / "processor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises((CheckpointError, ConfigError), match=what):
        FastTokenizer.load(tmp_path)


def test_a_damaged_vocabulary_is_refused(tokenizer, tmp_path):
    tokenizer.save(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(CheckpointError, match="cannot be read as a tokenizer"):
        FastTokenizer.load(tmp_path)
