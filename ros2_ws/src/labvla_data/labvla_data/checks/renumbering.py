"""New numbers for episodes and frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from labvla_data.dataset.episode_stats import as_lists, column_stats


@dataclass(frozen=True)
class Place:
    """Where an episode was, and where it goes."""

    old: int  # number before
    new: int
    first: int  # frame of the dataset with which it begins from now on
    length: int


def renumbered(table: pa.Table, places: Sequence[Place], done: int = 0) -> pa.Table:
    """Return the rows of these episodes, with the new numbers.

    `done` rows of the first episode came before this table; in a table that holds several episodes
    their frames count for themselves.
    """
    if len(places) == 1 and "episode_index" not in table.column_names:
        return table
    old = table["episode_index"].to_numpy()
    by_old = {place.old: place for place in places}
    keep = np.isin(old, list(by_old))
    table, old = table.filter(pa.array(keep)), old[keep]
    new = np.array([by_old[int(number)].new for number in old], dtype=np.int64)
    table = _replaced(table, "episode_index", new)
    if "index" in table.column_names:
        index = np.empty(len(old), dtype=np.int64)
        for place in places:
            here = old == place.old
            begin = place.first + (done if len(places) == 1 else 0)
            frames = (
                table["frame_index"].to_numpy()[here] + place.first
                if "frame_index" in table.column_names
                else begin + np.arange(int(here.sum()))
            )
            index[here] = frames
        table = _replaced(table, "index", index)
    return table


def _replaced(table: pa.Table, name: str, values: Any) -> pa.Table:
    at = table.schema.get_field_index(name)
    field = table.schema.field(at)
    changed = table.set_column(at, field, pa.array(values, field.type))
    return changed.replace_schema_metadata(table.schema.metadata)


def stats_of_place(place: Place, quantiles: bool) -> dict[str, Any]:
    """Return LeRobot's statistics of the columns that the place decides."""
    numbers = {
        "episode_index": np.full(place.length, place.new),
        "index": place.first + np.arange(place.length),
    }
    return as_lists(
        {name: column_stats(values[:, None]) for name, values in numbers.items()}, quantiles
    )
