"""Action tokens in the format of the published FAST processor: its folders are read and written.

A chunk's rounded coefficients become characters, `min_token` being the first one, and byte pairs
turn the text into ids. Where the published processor goes on in silence (values that its alphabet
lacks), this one refuses; what it decodes, zeros for token sequences without a meaning included, is
the same, but for sequences whose bytes are no text: those are zeros here, and enormous there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from labvla_policy.model.errors import CheckpointError, ConfigError, InputError
from labvla_policy.model.json_files import read_json, write_json
from labvla_train.fast.coefficients import Chunk, quantised, restored

PROCESSOR = "processor_config.json"
BYTE_PAIRS = "tokenizer.json"
BYTE_PAIRS_CONFIG = "tokenizer_config.json"
SPECIAL_TOKENS = "special_tokens_map.json"
PUBLISHED_SCALE = 10.0
PUBLISHED_ENTRIES = 2048

_PROCESSOR_CLASS = "UniversalActionProcessor"
# Where the stock library finds the processor's code: it is not ours to hand on.
_PROCESSOR_CODE = f"physical-intelligence/fast--processing_action_tokenizer.{_PROCESSOR_CLASS}"
_SLACK = 1e-6  # beyond -1 and 1: what rounding to fp32 leaves
_FIRST_SURROGATE = 0xD800  # no text holds characters from here on
_NO_TEXT = "\N{REPLACEMENT CHARACTER}"  # what bytes become that are no UTF-8


@dataclass(frozen=True, kw_only=True)
class FastSettings:
    """The numbers of processor_config.json; shapes are None where any shape will do."""

    scale: float = PUBLISHED_SCALE
    vocab_size: int = PUBLISHED_ENTRIES
    min_token: int = 0
    time_horizon: int | None = None
    action_dim: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.scale < float("inf"):
            raise ConfigError(f"scale: expected a number above 0, got {self.scale}")
        if self.vocab_size < 1:
            raise ConfigError(f"vocab_size: expected at least 1, got {self.vocab_size}")
        for name in ("time_horizon", "action_dim"):
            size = getattr(self, name)
            if size is not None and size < 1:
                raise ConfigError(f"{name}: expected at least 1 or null, got {size}")


@dataclass(frozen=True, eq=False)
class Decoded:
    """A chunk; where the tokens mean none it is zero, and `problem` says why."""

    chunk: NDArray[np.float64]
    problem: str | None = None


class FastTokenizer:
    """Encodes normalised chunks, rows x columns between -1 and 1."""

    def __init__(self, byte_pairs: Tokenizer, settings: FastSettings) -> None:
        entries = byte_pairs.get_vocab_size(with_added_tokens=True)
        if entries > settings.vocab_size:
            raise ConfigError(
                f"{PROCESSOR}: vocab_size: expected at least the {entries} entries of "
                f"{BYTE_PAIRS}, got {settings.vocab_size}"
            )
        self._byte_pairs = byte_pairs
        self.settings = settings
        self.entries = entries

    def encode(self, chunk: Chunk) -> list[int]:
        """Return the tokens of one chunk; refuse what would not come back."""
        return self.encode_many(self._checked(chunk)[None])[0]

    def encode_many(self, chunks: Chunk) -> list[list[int]]:
        """Return the tokens of chunks x rows x columns."""
        texts = self.texts(chunks)
        encodings = self._byte_pairs.encode_batch(texts, add_special_tokens=False)
        tokens: list[list[int]] = [encoding.ids for encoding in encodings]
        for ids, text in zip(tokens, texts, strict=True):
            if self._read(ids) != text:
                raise InputError(
                    f"action tokens: coefficients from {self._least(text)} to {self._most(text)} "
                    "occur, some of which the tokenizer's alphabet lacks: it was fitted to other "
                    "data; fit one to these with `labvla train tokenizer`"
                )
        return tokens

    def texts(self, chunks: Chunk) -> list[str]:
        """Return chunks x rows x columns as the texts that byte pairs are made of."""
        coefficients = quantised(self._checked(chunks), self.settings.scale)
        return [self._text(chunk) for chunk in coefficients]

    def decode(
        self, tokens: Sequence[int], rows: int | None = None, columns: int | None = None
    ) -> Decoded:
        """Return the chunk of these tokens."""
        rows, columns = self._shape(rows, columns)
        text = self._read(list(tokens))
        if _NO_TEXT in text:
            return Decoded(np.zeros((rows, columns)), f"the {len(tokens)} tokens are no text")
        values = np.array([ord(character) for character in text], dtype=int)
        if len(values) != rows * columns:
            return Decoded(
                np.zeros((rows, columns)),
                f"{len(tokens)} tokens make {len(values)} coefficients; expected {rows} x "
                f"{columns} = {rows * columns}",
            )
        coefficients = (values + self.settings.min_token).reshape(rows, columns)
        return Decoded(restored(coefficients, self.settings.scale))

    def save(self, folder: Path) -> None:
        """Write the files of the published processor, all but its code."""
        folder.mkdir(parents=True, exist_ok=True)
        self._byte_pairs.save(str(folder / BYTE_PAIRS))
        write_json(
            folder / BYTE_PAIRS_CONFIG,
            {
                "added_tokens_decoder": {},
                "clean_up_tokenization_spaces": False,
                "extra_special_tokens": {},
                "model_max_length": 10**30,
                "processor_class": _PROCESSOR_CLASS,
                "tokenizer_class": "PreTrainedTokenizerFast",
            },
        )
        write_json(folder / SPECIAL_TOKENS, {})
        write_json(
            folder / PROCESSOR,
            {
                "action_dim": self.settings.action_dim,
                "auto_map": {"AutoProcessor": _PROCESSOR_CODE},
                "min_token": self.settings.min_token,
                "processor_class": _PROCESSOR_CLASS,
                "scale": self.settings.scale,
                "time_horizon": self.settings.time_horizon,
                "vocab_size": self.settings.vocab_size,
            },
        )

    @classmethod
    def load(cls, folder: Path) -> FastTokenizer:
        """Read a folder in the published layout, the published tokenizer's own included."""
        settings = _settings(folder / PROCESSOR)
        path = folder / BYTE_PAIRS
        try:
            byte_pairs = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises nothing more precise
            raise CheckpointError(f"{path}: cannot be read as a tokenizer: {error}") from error
        byte_pairs.no_truncation()
        byte_pairs.no_padding()
        return cls(byte_pairs, settings)

    def _checked(self, chunks: Chunk) -> Chunk:
        chunks = np.asarray(chunks)
        if chunks.ndim < 2 or not chunks.size:
            raise InputError(f"action tokens: expected rows x columns, got shape {chunks.shape}")
        if not np.isfinite(chunks).all():
            raise InputError("action tokens: the chunk holds NaN or infinity")
        farthest = float(np.abs(chunks).max())
        if farthest > 1 + _SLACK:
            raise InputError(
                f"action tokens: expected normalised values clipped to -1 and 1, got {farthest:g}"
            )
        expected = (self.settings.time_horizon, self.settings.action_dim)
        for size, got in zip(expected, chunks.shape[-2:], strict=True):
            if size not in (None, got):
                raise InputError(
                    f"action tokens: the tokenizer is for chunks of {expected[0]} rows x "
                    f"{expected[1]} columns, got {chunks.shape[-2]} x {chunks.shape[-1]}"
                )
        return chunks

    def _text(self, coefficients: NDArray[np.int64]) -> str:
        values = coefficients.ravel() - self.settings.min_token
        if values.min() < 0 or values.max() >= _FIRST_SURROGATE:
            raise InputError(
                f"action tokens: expected coefficients from {self.settings.min_token} on, got "
                f"{coefficients.min()} to {coefficients.max()}: the tokenizer was fitted to other "
                "data; fit one to these with `labvla train tokenizer`"
            )
        return "".join(map(chr, values))

    def _read(self, tokens: list[int]) -> str:
        known = [token for token in tokens if 0 <= token < self.entries]
        text: str = self._byte_pairs.decode(known, skip_special_tokens=False)
        return text

    def _least(self, text: str) -> int:
        return min(map(ord, text)) + self.settings.min_token

    def _most(self, text: str) -> int:
        return max(map(ord, text)) + self.settings.min_token

    def _shape(self, rows: int | None, columns: int | None) -> tuple[int, int]:
        rows = rows or self.settings.time_horizon
        columns = columns or self.settings.action_dim
        if rows is None or columns is None:
            raise InputError(
                f"action tokens: expected the chunk's rows and columns, since {PROCESSOR} leaves "
                "them open"
            )
        return rows, columns


def _settings(path: Path) -> FastSettings:
    values = read_json(path)
    read: dict[str, Any] = {}
    for name, optional in (
        ("scale", False),
        ("vocab_size", False),
        ("min_token", False),
        ("time_horizon", True),
        ("action_dim", True),
    ):
        value = values.get(name)
        if value is None and optional:
            continue
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not (whole or (name == "scale" and isinstance(value, float))):
            raise CheckpointError(f"{path}: {name}: expected a number, got {value!r}")
        read[name] = value
    read["scale"] = float(read["scale"])
    try:
        return FastSettings(**read)
    except ConfigError as error:
        raise CheckpointError(f"{path}: {error}") from None
