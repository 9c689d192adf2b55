"""The tokenizer of a small policy: one token a word; words that it does not know are one token."""

from __future__ import annotations

import json
from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import WordLevel

from labvla_policy.model.pipeline.text import TOKENIZER, TOKENIZER_CONFIG

PAD, UNKNOWN = "[PAD]", "[UNK]"
PAD_ID = 0
UNKNOWN_WORD = "_"  # a text's word that no vocabulary has


def word_tokenizer(words: Iterable[str]) -> Tokenizer:
    """Return a tokenizer that ignores capitals and punctuation."""
    vocabulary = {word: number for number, word in enumerate([PAD, UNKNOWN, *sorted(set(words))])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Lowercase(), normalizers.Replace(Regex(r"[^\w\s]"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer


def extended(stored: str, words: Iterable[str]) -> tuple[Tokenizer, tuple[str, ...]]:
    """Return a stored word tokenizer with more words behind its own, and those that are new."""
    content = json.loads(stored)
    vocabulary = content["model"]["vocab"]
    new = tuple(sorted(set(words) - set(vocabulary)))
    first = 1 + max(vocabulary.values())
    vocabulary.update({word: number for number, word in enumerate(new, first)})
    return Tokenizer.from_str(json.dumps(content)), new


def tokenizer_files(tokenizer: Tokenizer) -> dict[str, bytes]:
    """Return what stands beside the weights."""
    settings = json.dumps({"pad_token": PAD, "unk_token": UNKNOWN}, indent=2) + "\n"
    return {
        TOKENIZER: tokenizer.to_str(pretty=True).encode(),
        TOKENIZER_CONFIG: settings.encode(),
    }
