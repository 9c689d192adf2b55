"""The numbers by which a dataset refers to its episodes, frames and texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from numpy.typing import NDArray

from labvla_data.dataset import tables
from labvla_data.dataset.episode_stats import Stats
from labvla_data.dataset.features import Column, Feature
from labvla_data.dataset.parts import Part


class Vocabulary:
    """Texts in the order in which they first occur."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def index(self, text: str) -> int:
        """Return the number of a text; a new one gets the next."""
        return self._numbers.setdefault(text, len(self._numbers))

    @property
    def texts(self) -> list[str]:
        """All texts, in the order of their numbers."""
        return list(self._numbers)


@dataclass(frozen=True, eq=False)
class Numbered:
    """An episode with its place in a dataset."""

    episode: int
    first: int  # frame of the dataset with which it begins
    tasks: list[str]
    stats: Mapping[str, Stats]
    numbers: Mapping[str, NDArray[Any]]  # columns that the place decides, frame by frame
    stored: Mapping[str, Feature]  # what the table holds, in order

    def tables(self, part: Part) -> Iterator[pa.Table]:
        """Return the frames, some at a time: with pictures they need not fit into memory."""
        done = 0
        with part.frames as file:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group)
                here = slice(done, done + len(table))
                done += len(table)
                more = {
                    name: tables.numbers(_number(self.stored[name]), values[here])
                    for name, values in self.numbers.items()
                }
                yield tables.with_columns(table, more, self.stored)


def _number(feature: Feature) -> Column:
    if not isinstance(feature, Column):
        raise TypeError("a picture has no number")
    return feature
