"""The rows of one episode in a table, which it may share with others."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from labvla_data.dataset import png, tables
from labvla_data.dataset.errors import DatasetError


class _Opened:
    """A table that is open: what of it does not depend on the episode is read once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.file = pq.ParquetFile(path)
        except (OSError, pa.ArrowException) as error:
            raise DatasetError(f"{path}: expected a table: {error}") from None

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(self.file.schema_arrow.names)

    @cached_property
    def length(self) -> int:
        return int(self.file.metadata.num_rows)

    @cached_property
    def groups(self) -> NDArray[np.int64]:
        """The row with which each row group begins, and the end of the last one."""
        metadata = self.file.metadata
        sizes = (metadata.row_group(i).num_rows for i in range(metadata.num_row_groups))
        return np.cumsum([0, *sizes])

    def rows_of(self, episode: int) -> tuple[int, int]:
        """Return where an episode's rows begin and end."""
        if episode not in self._rows:
            raise DatasetError(f"{self.path}: expected rows of episode {episode}, none there")
        begin, end, count = self._rows[episode]
        if end - begin != count:
            raise DatasetError(f"{self.path}: the rows of episode {episode} are scattered")
        return begin, end

    @cached_property
    def _rows(self) -> dict[int, tuple[int, int, int]]:
        """First row, end and number of rows of each episode."""
        column = self.file.read(columns=["episode_index"])["episode_index"].to_numpy()
        numbers, first, counts = np.unique(column, return_index=True, return_counts=True)
        last = len(column) - np.unique(column[::-1], return_index=True)[1]
        found = zip(first.tolist(), last.tolist(), counts.tolist(), strict=True)
        return dict(zip(numbers.tolist(), found, strict=True))


@lru_cache(maxsize=4)
def _opened(path: Path, _changed: int, _size: int) -> _Opened:
    return _Opened(path)


def _open(path: Path) -> _Opened:
    """Open a table, or take it as it is open: episodes that follow each other share one."""
    try:
        found = path.stat()
    except OSError as error:
        raise DatasetError(f"{path}: expected a table: {error}") from None
    return _opened(path, found.st_mtime_ns, found.st_size)


class TableFile:
    """Reads the row groups in which an episode's rows stand, and nothing else."""

    def __init__(self, path: Path, episode: int, rows_before: int | None) -> None:
        self.path, self._episode, self._shared = path, episode, rows_before is not None

    @cached_property
    def _table(self) -> _Opened:
        return _open(self.path)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns of the table."""
        return self._table.names

    @property
    def length(self) -> int:
        """Number of the episode's rows."""
        begin, end = self._rows
        return end - begin

    @cached_property
    def _rows(self) -> tuple[int, int]:
        """Where the episode's rows begin and end in the table."""
        if not self._shared:
            return 0, self._table.length
        return self._table.rows_of(self._episode)

    def columns(self, names: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Return columns of the episode."""
        table = self.read(*self._rows, names)
        return {name: tables.as_numpy(table[name]) for name in names}

    def cell(self, name: str, row: int) -> Any:
        """Return what stands in one row of the episode, counted from its beginning."""
        at = self._rows[0] + row
        group = int(np.searchsorted(self._table.groups, at, side="right")) - 1
        column = self._group(name, group)
        return column[at - int(self._table.groups[group])].as_py()

    def read(self, begin: int, end: int, names: Sequence[str]) -> pa.Table:
        """Return rows of the table."""
        first = int(np.searchsorted(self._table.groups, begin, side="right")) - 1
        last = int(np.searchsorted(self._table.groups, end, side="left"))
        try:
            table = self._table.file.read_row_groups(list(range(first, last)), columns=list(names))
        except (OSError, pa.ArrowException) as error:
            raise DatasetError(f"{self.path}: cannot be read: {error}") from None
        return table.slice(begin - int(self._table.groups[first]), end - begin)

    def _group(self, name: str, group: int) -> pa.ChunkedArray:
        """Return a column of one row group; the last one is kept, since frames come in order."""
        if self._kept[0] != (name, group):
            table = self._table.file.read_row_group(group, columns=[name])
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
