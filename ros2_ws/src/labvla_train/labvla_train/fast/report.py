"""What tokens cost and what they lose, on chunks that the tokenizer need not know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from labvla_train.fast.coefficients import Chunk
from labvla_train.fast.tokenizer import FastTokenizer

_BLOCK = 512  # chunks at a time


@dataclass(frozen=True)
class FastReport:
    """Figures of a tokenizer on some data; errors are in normalised units."""

    chunks: int
    entries: int  # of the vocabulary that were found worth having
    used: int  # of them that occur in these chunks
    tokens_mean: float
    tokens_p99: float
    tokens_most: int
    too_long: float  # share of the chunks with more tokens than `limit`
    limit: int
    numbers_per_token: float
    error_rms: float
    error_largest: float
    error_rms_by_column: tuple[float, ...]
    clipped: float  # share of the numbers that were cut to -1 or 1 before

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return asdict(self)

    def lines(self) -> tuple[str, ...]:
        """For people."""
        return (
            f"{self.entries} entries, {self.used} of them used by {self.chunks} chunks",
            f"tokens of a chunk: {self.tokens_mean:.1f} on average, {self.tokens_p99:.0f} (99 %), "
            f"{self.tokens_most} at most; {100 * self.too_long:.2g} % have more than {self.limit}",
            f"{self.numbers_per_token:.1f} numbers in a token",
            f"error of rounding: {self.error_rms:.4f} (root mean square), "
            f"{self.error_largest:.4f} at most, in normalised units",
            f"clipped to -1 and 1 before: {100 * self.clipped:.2g} % of the numbers",
        )


def measure(
    tokenizer: FastTokenizer, chunks: Chunk, *, limit: int, clipped: float = 0.0
) -> FastReport:
    """Encode and decode chunks x rows x columns between -1 and 1."""
    lengths: list[int] = []
    used: set[int] = set()
    squares = np.zeros(chunks.shape[-1])
    largest = 0.0
    for start in range(0, len(chunks), _BLOCK):
        block = chunks[start : start + _BLOCK]
        tokens = tokenizer.encode_many(block)
        errors = np.abs(_decoded(tokenizer, tokens, block.shape[-2:]) - block)
        squares += np.square(errors).sum(axis=(0, 1))
        largest = max(largest, float(errors.max()))
        lengths.extend(map(len, tokens))
        used.update(token for ids in tokens for token in ids)
    rows = len(chunks) * chunks.shape[-2]
    counts = np.array(lengths)
    return FastReport(
        chunks=len(chunks),
        entries=tokenizer.entries,
        used=len(used),
        tokens_mean=float(counts.mean()),
        tokens_p99=float(np.quantile(counts, 0.99)),
        tokens_most=int(counts.max()),
        too_long=float((counts > limit).mean()),
        limit=limit,
        numbers_per_token=float(chunks.size / counts.sum()),
        error_rms=float(np.sqrt(squares.sum() / chunks.size)),
        error_largest=largest,
        error_rms_by_column=tuple(float(value) for value in np.sqrt(squares / rows)),
        clipped=clipped,
    )


def _decoded(
    tokenizer: FastTokenizer, tokens: Sequence[Sequence[int]], shape: tuple[int, ...]
) -> Chunk:
    return np.stack([tokenizer.decode(ids, *shape).chunk for ids in tokens])
