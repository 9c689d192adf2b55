"""Fits a tokenizer of actions to data: the same data, the same file, whatever their order."""

from __future__ import annotations

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from labvla_policy.model.errors import InputError
from labvla_train.fast.coefficients import Chunk, largest
from labvla_train.fast.tokenizer import (
    PUBLISHED_ENTRIES,
    PUBLISHED_SCALE,
    FastSettings,
    FastTokenizer,
)

_LEAST_COUNT = 2  # a pair that occurs once says nothing about other data
_LONGEST_TOKEN = 10_000


def fit_tokenizer(
    chunks: Chunk,
    *,
    scale: float = PUBLISHED_SCALE,
    vocab_size: int = PUBLISHED_ENTRIES,
    progress: bool = False,
) -> FastTokenizer:
    """Fit to chunks x rows x columns of normalised values between -1 and 1.

    The alphabet has every value that such chunks can have, not only those that occur: what the
    robot does later can always be written down.
    """
    chunks = np.asarray(chunks)
    if chunks.ndim != 3 or not len(chunks):
        raise InputError(
            f"action tokens: expected chunks x rows x columns to fit to, got shape {chunks.shape}"
        )
    _, rows, columns = chunks.shape
    reach = largest(rows, scale)
    settings = FastSettings(
        scale=scale,
        vocab_size=vocab_size,
        min_token=-reach,
        time_horizon=rows,
        action_dim=columns,
    )
    alphabet = _alphabet(2 * reach + 1)
    if len(alphabet) >= vocab_size:
        raise InputError(
            f"action tokens: values up to {reach} in either direction need {len(alphabet)} "
            f"letters, and there are {vocab_size} entries in all: take a smaller scale than "
            f"{scale:g}"
        )
    byte_pairs = _empty()
    tokenizer = FastTokenizer(byte_pairs, settings)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=_LEAST_COUNT,
        show_progress=progress,
        special_tokens=[],
        initial_alphabet=alphabet,
        max_token_length=_LONGEST_TOKEN,
    )
    byte_pairs.train_from_iterator(tokenizer.texts(chunks), trainer, length=len(chunks))
    return FastTokenizer(byte_pairs, settings)


def _empty() -> Tokenizer:
    byte_pairs = Tokenizer(models.BPE())
    # Words are whole chunks: the usual pattern would cut where letters meet digits or signs, which
    # mean nothing here.
    byte_pairs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    byte_pairs.decoder = decoders.ByteLevel()
    return byte_pairs


def _alphabet(values: int) -> list[str]:
    """Return the letters that bytes are written as, of all bytes that these values need."""
    split = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    written = (split.pre_tokenize_str(chr(value))[0][0] for value in range(values))
    return sorted(set("".join(written)))
