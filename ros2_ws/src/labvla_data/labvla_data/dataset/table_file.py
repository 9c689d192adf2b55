"""The rows of one episode in a table, which it may share with others."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from labvla_data.dataset import png, tables
from labvla_data.dataset.errors import DatasetError


class TableFile:
    """Reads the row groups in which an episode's rows stand, and nothing else."""

    def __init__(self, path: Path, episode: int, rows_before: int | None) -> None:
        self.path, self._episode, self._shared = path, episode, rows_before is not None

    @cached_property
    def _file(self) -> pq.ParquetFile:
        try:
            return pq.ParquetFile(self.path)
        except (OSError, pa.ArrowException) as error:
            raise DatasetError(f"{self.path}: expected a table: {error}") from None

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The columns of the table."""
        return tuple(self._file.schema_arrow.names)

    @property
    def length(self) -> int:
        """Number of the episode's rows."""
        begin, end = self._rows
        return end - begin

    @cached_property
    def _rows(self) -> tuple[int, int]:
        """Where the episode's rows begin and end in the table."""
        if not self._shared:
            return 0, int(self._file.metadata.num_rows)
        episodes = self._file.read(columns=["episode_index"])["episode_index"].to_numpy()
        rows = np.flatnonzero(episodes == self._episode)
        if not len(rows):
            raise DatasetError(f"{self.path}: expected rows of episode {self._episode}, none there")
        if rows[-1] - rows[0] + 1 != len(rows):
            raise DatasetError(f"{self.path}: the rows of episode {self._episode} are scattered")
        return int(rows[0]), int(rows[-1]) + 1

    @cached_property
    def _groups(self) -> NDArray[np.int64]:
        """The row with which each row group begins, and the end of the last one."""
        sizes = [
            self._file.metadata.row_group(i).num_rows for i in range(self._file.num_row_groups)
        ]
        return np.cumsum([0, *sizes])

    def columns(self, names: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Return columns of the episode."""
        table = self.read(*self._rows, names)
        return {name: tables.as_numpy(table[name]) for name in names}

    def cell(self, name: str, row: int) -> Any:
        """Return what stands in one row of the episode, counted from its beginning."""
        at = self._rows[0] + row
        group = int(np.searchsorted(self._groups, at, side="right")) - 1
        column = self._group(name, group)
        return column[at - int(self._groups[group])].as_py()

    def read(self, begin: int, end: int, names: Sequence[str]) -> pa.Table:
        """Return rows of the table."""
        first = int(np.searchsorted(self._groups, begin, side="right")) - 1
        last = int(np.searchsorted(self._groups, end, side="left"))
        try:
            table = self._file.read_row_groups(list(range(first, last)), columns=list(names))
        except (OSError, pa.ArrowException) as error:
            raise DatasetError(f"{self.path}: cannot be read: {error}") from None
        return table.slice(begin - int(self._groups[first]), end - begin)

    def _group(self, name: str, group: int) -> pa.ChunkedArray:
        """Return a column of one row group; the last one is kept, since frames come in order."""
        if self._kept[0] != (name, group):
            table = self._file.read_row_group(group, columns=[name])
            self._kept = ((name, group), table[name])
        return self._kept[1]

    _kept: tuple[tuple[str, int], Any] = (("", -1), None)


class PngFrames(Sequence[NDArray[np.uint8]]):
    """Pictures inside a table; each is decoded when it is asked for."""

    def __init__(self, table: TableFile, feature: str) -> None:
        self._table, self._feature = table, feature

    def __len__(self) -> int:
        return self._table.length

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        row = index + len(self) if index < 0 else index
        if not 0 <= row < len(self):
            raise IndexError(f"frame {index} of {len(self)}")
        stored = self._table.cell(self._feature, row)
        return png.decode((stored or {}).get("bytes") or b"")
